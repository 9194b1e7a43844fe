"""Connectors, one package per exchange: endpoints, names, subscriptions, heartbeat, and the routes of frames."""

from collections.abc import Iterable

from ingest.exchanges.base import Connector
from ingest.exchanges.binance import BinanceCoinm, BinanceSpot, BinanceUsdm
from ingest.exchanges.deribit import Deribit
from ingest.exchanges.htx import HtxLinear, HtxSpot
from ingest.exchanges.okx import Okx
from schemas.errors import SettingsError
from schemas.settings import Settings
from schemas.symbols import Selection, parse_symbol

CONNECTORS: dict[str, type[Connector]] = {
    connector.name: connector
    for connector in (BinanceSpot, BinanceUsdm, BinanceCoinm, Okx, HtxSpot, HtxLinear, Deribit)
}


def connectors_of(settings: Settings, feeds: Iterable[str] = ()) -> list[Connector]:
    """Return the connectors of these feeds, or of all in the settings.

    Raise `SettingsError` if it is certain, before any exchange is asked, that there is nothing to ingest.
    """
    connectors = [
        CONNECTORS[name](settings.kinds, settings.depth, settings.channels, settings.variants_of(name))
        for name in feeds or settings.feeds
    ]
    names = ", ".join(each.name for each in connectors)
    wanted = ", ".join((*settings.kinds, *settings.channels))
    if not any(connector.paths or connector.polled for connector in connectors):
        raise SettingsError(f"nothing to ingest: no feed ({names}) has any of: {wanted} (see docs/coverage.md)")
    if not any(_may_find(connector, settings.selection_of(connector.name)) for connector in connectors):
        symbols = ", ".join(settings.symbols)
        raise SettingsError(f"nothing to ingest: no feed ({names}) has any of: {wanted} for any of: {symbols}")
    return connectors


def _may_find(connector: Connector, selection: Selection) -> bool:
    """Return whether a feed can have an instrument of the selection, with something that is wanted."""
    kinds = {parse_symbol(symbol).kind for symbol in selection.exact}
    return any(map(connector.serves, kinds)) or bool(selection.patterns and (connector.paths or connector.polled))


def carried_by_none(connectors: Iterable[Connector], settings: Settings) -> list[str]:
    """Return the channels of the settings that none of these feeds has."""
    return [name for name in settings.channels if not any(connector.carries(name) for connector in connectors)]


def of_no_feed(connectors: Iterable[Connector], settings: Settings) -> list[str]:
    """Return the symbols of the settings that are of a kind that none of these feeds serves."""
    selections = [settings.selection_of(connector.name) for connector in connectors]
    return [
        symbol for symbol in settings.symbols if not any(symbol in (*each.exact, *each.patterns) for each in selections)
    ]
