"""Connectors, one package per exchange: endpoints, names, subscriptions, heartbeat, and the routes of frames."""

from collections.abc import Iterable

from ingest.exchanges.base import Connector
from ingest.exchanges.binance import BinanceCoinm, BinanceSpot, BinanceUsdm
from ingest.exchanges.deribit import Deribit
from ingest.exchanges.htx import HtxLinear, HtxSpot
from ingest.exchanges.okx import Okx
from schemas.errors import SettingsError
from schemas.settings import Settings

CONNECTORS: dict[str, type[Connector]] = {
    connector.name: connector
    for connector in (BinanceSpot, BinanceUsdm, BinanceCoinm, Okx, HtxSpot, HtxLinear, Deribit)
}


def connectors_of(settings: Settings, feeds: Iterable[str] = ()) -> list[Connector]:
    """Return the connectors of these feeds, or of all in the settings. `SettingsError` if none has anything wanted."""
    connectors = [
        CONNECTORS[name](settings.kinds, settings.depth, settings.channels, settings.variants_of(name))
        for name in feeds or settings.feeds
    ]
    if not any(connector.paths or connector.polled for connector in connectors):
        wanted, names = ", ".join((*settings.kinds, *settings.channels)), ", ".join(each.name for each in connectors)
        raise SettingsError(f"nothing to ingest: no feed ({names}) has any of: {wanted} (see docs/coverage.md)")
    return connectors


def carried_by_none(connectors: Iterable[Connector], settings: Settings) -> list[str]:
    """Return the channels of the settings that none of these feeds has."""
    return [name for name in settings.channels if not any(connector.carries(name) for connector in connectors)]
