"""A client's book, by a second, minimal implementation of the documented procedures."""

from decimal import Decimal
from typing import Any

from marketprism.simulator import BookView


class LocalBook:
    """Book of a client. `gaps` counts breaks of the chain, `stale` updates that are older than the book."""

    def __init__(self, feed: str, symbol: str) -> None:
        self.feed = feed
        self.symbol = symbol
        self.sequence = -1
        self.first = True
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.gaps = 0
        self.stale = 0
        self.tops: dict[int, tuple[str, ...]] = {}

    def seed(self, sequence: int, bids: Any, asks: Any) -> None:
        self.bids, self.asks = ({level[0]: level[1] for level in side} for side in (bids, asks))
        self.sequence, self.first = sequence, True
        self.tops[sequence] = self.top()

    def update(self, frame: Any) -> None:
        if self.feed == "okx":
            self._update_okx(frame)
        elif self.feed == "deribit":
            self._update_deribit(frame)
        else:
            self._update_binance(frame)

    def _update_okx(self, frame: Any) -> None:
        [row] = frame["data"]
        if frame["action"] == "snapshot":
            assert row["prevSeqId"] == -1
            self.seed(row["seqId"], row["bids"], row["asks"])
        elif row["prevSeqId"] == self.sequence:
            self._apply(row["seqId"], row["bids"], row["asks"])
        else:
            self._broken(row["seqId"])

    def _update_deribit(self, data: Any) -> None:
        bids, asks = ([texts(*entry[1:]) for entry in data[side]] for side in ("bids", "asks"))
        if data["type"] == "snapshot":
            assert "prev_change_id" not in data
            self.seed(data["change_id"], bids, asks)
        elif data["prev_change_id"] == self.sequence:
            self._apply(data["change_id"], bids, asks)
        else:
            self._broken(data["change_id"])

    def _update_binance(self, event: Any) -> None:
        if self._follows(event):
            self._apply(event["u"], event["b"], event["a"])
        elif not self.first or event["u"] > self.sequence:
            self._broken(event["u"])

    def _follows(self, event: Any) -> bool:
        if self.feed == "binance-spot":
            return bool(event["U"] <= self.sequence + 1 and event["u"] > self.sequence)
        if self.first and event["U"] <= self.sequence <= event["u"]:
            return True
        return bool(event["pu"] == self.sequence)

    def _apply(self, sequence: int, bids: Any, asks: Any) -> None:
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, amount, *_ in changes:
                if float(amount):
                    side[price] = amount
                else:
                    side.pop(price, None)
        self.sequence, self.first = sequence, False
        self.tops[sequence] = self.top()

    def _broken(self, sequence: int) -> None:
        if sequence <= self.sequence:
            self.stale += 1
        else:
            self.gaps += 1
            self.sequence = sequence

    def levels(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        return (
            sorted(self.bids.items(), key=lambda level: -float(level[0])),
            sorted(self.asks.items(), key=lambda level: float(level[0])),
        )

    def top(self) -> tuple[str, ...]:
        bids, asks = self.levels()
        return (*bids[0], *asks[0]) if bids and asks else ()

    def equals(self, book: BookView) -> bool:
        return self.levels() == (book.bids, book.asks)


def texts(*numbers: float) -> tuple[str, ...]:
    """Return JSON numbers as text without trailing zeros: `86750.0` → `86750`."""
    return tuple(f"{Decimal(repr(number)).normalize():f}" for number in numbers)
