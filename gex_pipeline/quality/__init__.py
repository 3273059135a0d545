"""PURE: what is right and wrong with recorded data: the ledger, gaps, and rules on events."""
