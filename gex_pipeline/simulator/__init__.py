"""A seeded market behind a server that speaks Schwab's OAuth, REST and streamer protocol."""
