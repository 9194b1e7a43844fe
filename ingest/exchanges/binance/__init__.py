"""Connectors for Binance spot, USD-M and COIN-M futures (docs/protocols/binance.md)."""

from ingest.exchanges.binance.feeds import BinanceCoinm as BinanceCoinm
from ingest.exchanges.binance.feeds import BinanceSpot as BinanceSpot
from ingest.exchanges.binance.feeds import BinanceUsdm as BinanceUsdm
