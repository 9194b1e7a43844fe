"""OKX's WebSocket channels: one row for each (docs/protocols/okx.md §3.4)."""

from ingest.exchanges.base import ChannelRow, Variant
from schemas.channels import candles_of
from schemas.exchanges.okx import BARS, family_of, index_of, type_of
from schemas.symbols import Kind

PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"

_DERIVATIVES: tuple[Kind, ...] = ("perp", "future", "option")
_DATED: tuple[Kind, ...] = ("future", "option")


def _group_of(name: str) -> str:
    """Return the type and the family of an instrument, which share the channel: `OPTION BTC-USD`."""
    return f"{type_of(name)} {family_of(name)}"


CHANNELS: dict[str, ChannelRow] = {
    "trades": ChannelRow("trades", PUBLIC, variants=(Variant("trades-all", BUSINESS),)),
    # `bbo-tbt` is no variant of a book: as `quotes` it is subscribed anyway.
    "books": ChannelRow("books", PUBLIC, variants=(Variant("books5", PUBLIC, whole_books=True),)),
    "quotes": ChannelRow("bbo-tbt", PUBLIC),
    "tickers": ChannelRow("tickers", PUBLIC),
    "funding": ChannelRow("funding-rate", PUBLIC, of=("perp",)),
    "mark_prices": ChannelRow("mark-price", PUBLIC, kinds=("funding", "mark_prices"), of=_DERIVATIVES),
    "index_prices": ChannelRow(
        "index-tickers", PUBLIC, kinds=("funding", "mark_prices"), of=_DERIVATIVES, subject=index_of
    ),
    "settlement_prices": ChannelRow(
        "estimated-price", PUBLIC, kinds=("mark_prices",), of=_DATED, subject=_group_of, in_rows=True
    ),
    "open_interest": ChannelRow("open-interest", PUBLIC, of=_DERIVATIVES),
    "liquidations": ChannelRow("liquidation-orders", PUBLIC, of=_DERIVATIVES, subject=type_of, in_rows=True),
    "options": ChannelRow("opt-summary", PUBLIC, of=("option",), subject=_group_of, in_rows=True),
    **{
        candles_of(interval): ChannelRow(f"candle{bar}", BUSINESS, kinds=("candles",)) for interval, bar in BARS.items()
    },
}

NAMES: dict[str, str] = {
    **{row.name: channel for channel, row in CHANNELS.items()},
    **{variant.name: channel for channel, row in CHANNELS.items() for variant in row.variants},
    "books-l2-tbt": "books",
    "books50-l2-tbt": "books",
}
"""Our channels by OKX's names of them and of their variants, some of which are only in recordings."""


def argument_of(channel: str, name: str, subject: str) -> dict[str, str]:
    """Return the argument that subscribes to a channel, given OKX's name of it, about a subject."""
    kind, _, family = subject.partition(" ")
    match channel:
        case "liquidations":
            return {"channel": name, "instType": kind}
        case "options":
            return {"channel": name, "instFamily": family}
        case "settlement_prices":
            return {"channel": name, "instType": kind, "instFamily": family}
    return {"channel": name, "instId": subject}


def subject_of(argument: dict[str, object]) -> str:
    """Return the subject of an argument: as `argument_of` takes it; empty if it has none."""
    match argument:
        case {"instId": str(name)}:
            return name
        case {"channel": "liquidation-orders", "instType": str(kind)}:
            return kind
        case {"channel": "opt-summary", "instFamily": str(family)}:
            return f"OPTION {family}"
        case {"channel": "estimated-price", "instType": str(kind), "instFamily": str(family)}:
            return f"{kind} {family}"
    return ""
