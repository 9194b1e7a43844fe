"""HTX's channels, named by what follows `market.<symbol>.` or `public.<contract>.` in a topic.

They are documented in docs/protocols/htx.md §4.4 and §5.4. `{levels}` is the number of levels of an incremental book.
The other channels of books deliver the best levels, or merged ones, whole.
"""

from collections.abc import Mapping

from ingest.exchanges.base import ChannelRow, Variant
from schemas.channels import candles_of
from schemas.exchanges.htx import PERIODS, SPOT_PERIODS, index_of

NOTIFICATIONS = "/linear-swap-notification"  # has another dialect than the other paths
_MARKET, _INDEX = "/linear-swap-ws", "/ws_index"
_BOOKS, _HIGH_FREQUENCY = "mbp.", "depth.size_"


def _candles(periods: Mapping[str, str], path: str) -> dict[str, ChannelRow]:
    return {
        candles_of(interval): ChannelRow(f"kline.{period}", path, kinds=("candles",))
        for interval, period in periods.items()
    }


SPOT: Mapping[str, ChannelRow] = {
    "trades": ChannelRow("trade.detail", "/ws"),
    "books": ChannelRow(
        "mbp.{levels}",
        "/feed",
        variants=(
            *(Variant(f"mbp.refresh.{levels}", "/feed", whole_books=True) for levels in (5, 10, 20)),
            *(Variant(f"depth.step{step}", "/ws", whole_books=True) for step in range(6)),
        ),
    ),
    "quotes": ChannelRow("bbo", "/ws"),
    "tickers": ChannelRow("detail", "/ws", variants=(Variant("ticker", "/ws"),)),
    **_candles(SPOT_PERIODS, "/ws"),
}
LINEAR: Mapping[str, ChannelRow] = {
    "trades": ChannelRow("trade.detail", _MARKET),
    "books": ChannelRow(
        "depth.size_{levels}.high_freq",
        _MARKET,
        variants=tuple(Variant(f"depth.step{step}", _MARKET, whole_books=True) for step in (0, 6)),
    ),
    "quotes": ChannelRow("bbo", _MARKET),
    "tickers": ChannelRow("detail", _MARKET),
    **_candles(PERIODS, _MARKET),
    # The bars of any period close at the current value.
    "mark_prices": ChannelRow("mark_price.1min", _INDEX),
    "index_prices": ChannelRow("index.1min", _INDEX, kinds=("mark_prices",), subject=index_of),
    "funding": ChannelRow("funding_rate", NOTIFICATIONS, of=("perp",)),
    "liquidations": ChannelRow("liquidation_orders", NOTIFICATIONS),
}

_BY_NAME = {
    name: channel
    for rows in (SPOT, LINEAR)
    for channel, row in rows.items()
    for name in (row.name, *(variant.name for variant in row.variants))
}


def channel_named(name: str) -> str:
    """Return our channel for HTX's name of it; empty if we have none. An incremental book may have any size."""
    is_sized = (name.startswith(_BOOKS) and name[len(_BOOKS) :].isdigit()) or is_high_frequency(name)
    return "books" if is_sized else _BY_NAME.get(name, "")


def is_high_frequency(name: str) -> bool:
    """Return whether this is a book that is delivered as increments only if a request says so."""
    return name.startswith(_HIGH_FREQUENCY)
