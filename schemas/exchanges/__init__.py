"""Fixed facts about each exchange: its feeds, their fees, and how they name instruments."""
