"""The book at a time, rebuilt in Python from the events of `market.books`, `market.gaps` and `market.status`."""

from decimal import Decimal

from tests.sinks.queries.exact import DAY, MINUTE, Data, Row, grouped, of
from tests.sinks.queries.registry import Answer, answers

Level = tuple[str, int, Decimal, Decimal]  # side, level, price, amount
_ENDS = ("stopped", "silent", "delisted")
_SIDES = (("ask", "asks", False), ("bid", "bids", True))  # by name; best first: whether the price falls


class Replay:
    """An instrument's events of books and gaps, and `ends`: the times at which its ingest or its channel ended.

    `book` follows the events one by one.
    """

    def __init__(self, data: Data, exchange: str, symbol: str) -> None:
        self.events = [row for row in data["books"] if of(row, exchange, symbol)]
        self.gaps = [row for row in data["gaps"] if of(row, exchange, symbol) and row["channel"] == "books"]
        status = [row for row in data["status"] if of(row, exchange, symbol) and row["type"] in _ENDS]
        self.ends = [row["local_timestamp"] for row in status if not row["channels"] or "books" in row["channels"]]
        self._book: dict[str, dict[Decimal, Decimal]] = {}
        self._snapshot_at, self._applied = -DAY, 0

    def book(self, at: int) -> list[Level]:
        """Return all levels at a time, no earlier than that of the call before; empty while the book is not live."""
        while self._applied < len(self.events) and self.events[self._applied]["local_timestamp"] <= at:
            self._apply(self.events[self._applied])
            self._applied += 1
        if not self._is_live(at):
            return []
        return [
            (side, number, price, self._book[name][price])
            for side, name, falls in _SIDES
            for number, price in enumerate(sorted(self._book[name], reverse=falls), 1)
        ]

    def _apply(self, event: Row) -> None:
        if event["type"] == "snapshot":
            self._book, self._snapshot_at = {"bids": {}, "asks": {}}, event["local_timestamp"]
        for name, side in self._book.items():
            for price, amount in event[name]:
                side.pop(Decimal(price), None)
                if Decimal(amount):
                    side[Decimal(price)] = Decimal(amount)

    def _is_live(self, at: int) -> bool:
        if not self._book or self._snapshot_at <= at - DAY:
            return False
        end = max((end for end in self.ends if end <= at), default=0)
        if self.events[self._applied - 1]["local_timestamp"] <= max(at - 2 * MINUTE, end):
            return False
        since = [row for row in self.gaps if row["local_timestamp"] >= self._snapshot_at and row["since"] < at]
        gaps = grouped(since, lambda row: row["id"]).values()
        return all(any(row["type"] == "closed" and row["local_timestamp"] <= at for row in gap) for gap in gaps)


@answers("The book at a time")
def five_minutes_ago(data: Data, now: int) -> Answer:
    found, depth = Answer(), {"ask": Decimal(0), "bid": Decimal(0)}
    for side, level, price, amount in Replay(data, "binance", "BTC-USDT").book(now - 5 * MINUTE):
        depth[side] += amount
        if level <= 10:
            found.append((side, level, price, amount, depth[side]))
    return found
