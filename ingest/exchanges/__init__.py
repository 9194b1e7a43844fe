"""Connectors, one file per exchange: endpoints, names, subscriptions, heartbeat, and the routes of frames."""

from ingest.exchanges.base import Connector
from ingest.exchanges.binance import BinanceCoinm, BinanceSpot, BinanceUsdm
from ingest.exchanges.deribit import Deribit
from ingest.exchanges.htx import HtxLinear, HtxSpot
from ingest.exchanges.okx import Okx

CONNECTORS: dict[str, type[Connector]] = {
    connector.name: connector
    for connector in (BinanceSpot, BinanceUsdm, BinanceCoinm, Okx, HtxSpot, HtxLinear, Deribit)
}
