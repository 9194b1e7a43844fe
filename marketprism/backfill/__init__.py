"""Fill the tables with the exchanges' past, through the raw topics (docs/backfill.md)."""
