"""Connector for OKX v5: its channels (`channels.py`), polls (`polls.py`) and protocol (`connector.py`)."""

from ingest.exchanges.okx.connector import Okx as Okx
