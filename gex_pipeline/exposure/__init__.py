"""The exposure engine, pure: from an option chain to levels, and how sure they are."""
