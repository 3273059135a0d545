"""The simulator: one market without contradictions, Schwab's protocol, the real client library."""
