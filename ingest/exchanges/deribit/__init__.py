"""Connector for Deribit v2 (docs/protocols/deribit.md §6)."""

from ingest.exchanges.deribit.connector import Deribit as Deribit
