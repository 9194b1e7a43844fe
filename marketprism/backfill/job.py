"""What is to be filled, and what of it an exchange offers."""

from dataclasses import dataclass

from ingest.exchanges.base import Connector
from ingest.exchanges.history import HistoryRow
from schemas.channels import candles_of
from schemas.errors import SettingsError
from schemas.instruments import Instrument
from schemas.intervals import INTERVALS, end_of, origin_of

KINDS = ("candles", "trades", "funding", "mark_prices", "open_interest", "long_short_ratios")
MARGIN = 120_000_000  # µs before now at which a range ends: live data has been stored by then
_DAY = 86_400_000_000  # µs


@dataclass(frozen=True)
class Job:
    """One kind of one instrument, from `begin` to before `end`, µs. `interval`: of candles."""

    instrument: Instrument
    kind: str
    interval: str
    begin: int
    end: int

    @property
    def topic(self) -> str:
        return f"market.{self.kind}"


def check_kind(kind: str, interval: str) -> None:
    """Raise `SettingsError` for a kind that no exchange has a past of, or an unknown interval."""
    if kind not in KINDS:
        raise SettingsError(f"--kind {kind}: use one of {', '.join(KINDS)}")
    if interval not in INTERVALS:
        raise SettingsError(f"--interval {interval}: use one of {', '.join(INTERVALS)}")


def rows_for(connector: Connector, instrument: Instrument, kind: str, interval: str) -> list[HistoryRow]:
    """Return the endpoints to ask. Raise `SettingsError`, which says what there is, if there are none."""
    feed, symbol = connector.name, instrument.symbol
    offered = {
        name: [row for row in rows if not row.of or instrument.kind in row.of]
        for name, rows in connector.history.items()
    }
    if not offered.get(kind):
        has = ", ".join(name for name, rows in offered.items() if rows)
        raise SettingsError(f"{feed} has no history of {kind} of {symbol} by REST; it has: {has or 'nothing'}")
    selected = connector.variant_of(kind)
    rows = [row for row in offered[kind] if row.variant == selected]
    if not rows:
        raise SettingsError(_other_variant(feed, offered[kind]))
    if kind == "candles" and interval not in rows[0].intervals:
        raise SettingsError(f"{feed} has no candles of {interval}; it has: {', '.join(rows[0].intervals)}")
    return rows


def _other_variant(feed: str, rows: list[HistoryRow]) -> str:
    names = " or ".join(row.variant or "the usual" for row in rows)
    files = "; its public data files have all: use --source files" if feed.startswith("binance-") else ""
    return (
        f"{feed} has a history of trades by REST only as the variant {names} (setting `variants`), whose ids are not "
        f"those of the trades that are ingested{files}"
    )


def channel_of(row: HistoryRow, interval: str) -> str:
    """Return our name of the channel that a row has the past of."""
    return candles_of(interval) if row.channel == "candles" else row.channel


def lengths_of(interval: str) -> tuple[int, int]:
    """Return the least and the largest distance between the starts of two candles, µs."""
    if interval not in ("1M", "3M", "1y"):
        length = end_of(0, interval)
        return length, length
    day = end_of(0, "1d")
    return {"1M": (28 * day, 31 * day), "3M": (90 * day, 92 * day), "1y": (365 * day, 366 * day)}[interval]


def first_start(at: int, interval: str) -> int:
    """Return when the first candle from a time on begins at the earliest, where days are those of UTC. Both in µs."""
    step, _ = lengths_of(interval)
    if step > _DAY and interval != "1w":
        return at  # months differ, and of other intervals nobody says which day is the first
    origin = origin_of(interval)
    return -((origin - at) // step) * step + origin
