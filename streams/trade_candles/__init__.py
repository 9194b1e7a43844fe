"""Candles made of the trades, and their comparison with the exchange's own (docs/candles.md)."""
