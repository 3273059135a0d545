"""What a user counts on, of the simulated Schwab in every run, and of the real one on request."""
