"""Option mathematics on numpy columns, pure: prices, greeks, implied volatility, forwards, time."""
