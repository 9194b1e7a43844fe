"""One file per exchange: endpoints, names, subscriptions, heartbeat, which instrument a frame belongs to."""

from ingest.exchanges.base import Connector
from ingest.exchanges.binance import BinanceSpot, BinanceUsdm
from ingest.exchanges.deribit import Deribit
from ingest.exchanges.htx import HtxLinear, HtxSpot
from ingest.exchanges.okx import Okx

CONNECTORS: dict[str, type[Connector]] = {
    feed.name: feed for feed in (BinanceSpot, BinanceUsdm, Okx, HtxSpot, HtxLinear, Deribit)
}
