"""The exposure engine, pure: from one option chain to levels with a figure for how sure they are."""
