"""Tests of the gateway, the API and the page."""
