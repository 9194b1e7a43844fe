"""What is known of each exchange without asking it: its feeds, their fees, and how they name instruments."""
