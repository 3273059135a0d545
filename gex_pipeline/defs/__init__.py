"""DAGSTER: thin faces on archive and supervision; it never stands in the way of the data."""
