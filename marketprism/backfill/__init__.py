"""Fill the tables with the exchanges' past, through the raw topics (docs/backfill.md)."""

SHARE = 0.25  # of an exchange's limits that filling uses by default; ingest uses half of them
