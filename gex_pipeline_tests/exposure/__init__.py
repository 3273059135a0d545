"""Tests of the exposure engine: by hand, against textbooks written here, and on random rows."""
