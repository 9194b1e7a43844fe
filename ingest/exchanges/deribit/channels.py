"""Deribit's channels (docs/protocols/deribit.md §6.4): what is subscribed to, and the routes of their names."""

from collections.abc import Mapping
from functools import lru_cache

from ingest.exchanges.base import CONTROL, LONGEST_NAME, UNKNOWN_FRAME, ChannelRow, Route, Variant, data_route
from schemas.channels import candles_of
from schemas.exchanges.deribit import RESOLUTIONS

PATH = "/ws/api/v2"
PLATFORM = "platform_state"
_DEPTHS = (20, 10, 1)  # of books that are sent whole

# The interval `raw` needs an account. `agg2` is about a second.
CHANNELS: Mapping[str, ChannelRow] = {
    "trades": ChannelRow("trades.{}.100ms", PATH, kinds=("trades", "liquidations")),
    "books": ChannelRow(
        "book.{}.100ms",
        PATH,
        variants=tuple(Variant(f"book.{{}}.none.{depth}.100ms", PATH, whole_books=True) for depth in _DEPTHS),
    ),
    "quotes": ChannelRow("quote.{}", PATH),
    "tickers": ChannelRow(
        "ticker.{}.agg2", PATH, kinds=("tickers", "funding", "mark_prices", "open_interest", "options")
    ),
    **{
        candles_of(interval): ChannelRow(f"chart.trades.{{}}.{resolution}", PATH, kinds=("candles",))
        for interval, resolution in RESOLUTIONS.items()
    },
}
WITHOUT: Mapping[str, str] = {"long_short_ratios": "publishes none"}


def _split(name: str) -> tuple[str, str]:
    """Split a channel's name: its instrument, and the channel without it. The instrument is empty if it has none.

    `book.BTC-PERPETUAL.100ms` → `BTC-PERPETUAL`, `book`; `chart.trades.BTC-PERPETUAL.1` → `BTC-PERPETUAL`, `chart.1`.
    """
    match name.split("."):
        case ["chart", "trades", symbol, resolution]:
            return symbol, f"chart.{resolution}"
        case ["book", symbol, group, _, _] if group != "none":  # its prices are rounded
            return symbol, "grouped books"
        case ["trades", _, _, _]:  # of a whole kind and currency
            return "", name
        case ["trades" | "book" | "quote" | "ticker" | "incremental_ticker" | "perpetual" as kind, symbol, *_]:
            return symbol, kind
    return "", name


_CHANNELS = {_split(row.name)[1]: channel for channel, row in CHANNELS.items()}


@lru_cache(maxsize=65536)
def route_of_channel(name: bytes) -> Route:
    """Route a channel name: `book.BTC-PERPETUAL.100ms` → books of BTC-PERPETUAL."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return UNKNOWN_FRAME
    if text.partition(".")[0] == PLATFORM:
        return CONTROL
    symbol, channel = _split(text)
    if symbol:
        return data_route(symbol, channel, _CHANNELS)
    return Route("data", "", "", text) if text.partition(".")[0] else UNKNOWN_FRAME


def route_of_name(channel: str) -> Route:
    """Do what `route_of_channel` does for a name that may be too long to be kept."""
    return route_of_channel(channel.encode()) if len(channel) <= LONGEST_NAME else UNKNOWN_FRAME
