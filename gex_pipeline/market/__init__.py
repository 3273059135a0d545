"""The nouns of the market, pure: events, contracts, symbols, sessions, clock, tables, codec."""
