"""Join the quotes of one symbol over all exchanges: which two pair, and the life of each opportunity."""

from typing import Any

import orjson
from orjson import Fragment

from schemas.errors import RangeError
from schemas.settings import Settings
from schemas.sources import split_source
from schemas.topics import DEAD_LETTERS, JOIN, SIGNALS
from streams.arbitrage.execution import execute, gross_bps, net_bps
from streams.arbitrage.lines import QuoteLine, decode_quote
from streams.arbitrage.oddities import implausible, out_of_range
from streams.arbitrage.opportunity import Opportunity
from streams.arbitrage.quotes import PairQuote
from streams.arbitrage.statistics import SpreadStatistics
from streams.packing import pack, unpack

Pair = tuple[str, str]  # (exchange to buy on, exchange to sell on)
Body = tuple[str, dict[str, Any]]  # topic, and an event without its source


class SymbolJoin:
    """Quotes, open opportunities and statistics of one symbol.

    `seen`: the highest source of each exchange, so that duplicates are dropped. `now`: the latest receipt of any quote;
    those of one exchange may arrive after later ones of another.
    """

    def __init__(self, symbol: str, settings: Settings) -> None:
        self.symbol = symbol
        self.checkpoint_offset = -1
        self.quotes: dict[str, PairQuote] = {}
        self.open: dict[Pair, Opportunity] = {}
        self.statistics: dict[Pair, SpreadStatistics] = {}
        self.seen: dict[str, list[int]] = {}
        self.odd: dict[Pair, str] = {}  # pairs that cannot be judged, and what was reported about each
        self.now = 0
        self._settings = settings
        self._window = settings.arbitrage_window_ms * 1000
        self._least = settings.arbitrage_min_bps
        self._most = settings.arbitrage_max_bps
        # Floats find the pairs that may pay, and decimals decide. No float is off by this many basis points:
        least = max(self._least, 0.0)
        self._nearly = least - 1e-6 - least * 1e-9
        self._fees: dict[str, float] = {}

    def is_new(self, source: str) -> bool:
        """Return whether a source is above all seen from its exchange, and note it if so."""
        exchange, position = split_source(source)
        if position <= self.seen.get(exchange, []):
            return False
        self.seen[exchange] = position
        return True

    def on_quote(self, state: str, line: QuoteLine, json: bytes) -> list[Body]:
        """Take a quote of one exchange. Returns the events that it causes."""
        exchange = line.exchange
        mine = self.quotes[exchange] = PairQuote(state, line, json, self._fee(exchange))
        self.now = max(self.now, mine.at)
        signals: list[Body] = []
        for name, other in self.quotes.items():
            if name != exchange:
                signals += self._pair(self.now, mine, other)
                signals += self._pair(self.now, other, mine)
        return signals

    def on_state(self, state: str, notice: QuoteLine) -> list[Body]:
        """Take the new state of one exchange's book. Returns the closings that it causes."""
        exchange, now = notice.exchange, notice.local_timestamp
        quote = self.quotes.get(exchange)
        if quote is None:
            return []
        quote.state = state
        return [
            self._close(now, pair, "book_not_live") for pair in list(self.open) if exchange in pair and state != "live"
        ]

    def on_time(self, times: dict[tuple[str, int], int]) -> list[Body]:
        """Close the opportunities of which one quote has become too old.

        `times`: stream time by exchange and raw partition. A quote ages by the time of its own partition, and a pair by
        the slower of the two: while a partition still catches up, its quotes are not old.
        """
        signals = []
        for pair in list(self.open):
            now = min(times.get((exchange, self.seen[exchange][0]), 0) for exchange in pair)
            if now - min(self.quotes[exchange].at for exchange in pair) > self._window:
                signals.append(self._close(now, pair, "quote_too_old"))
        return signals

    def _pair(self, now: int, buy: PairQuote, sell: PairQuote) -> list[Body]:
        pair = (buy.exchange, sell.exchange)
        opportunity = self.open.get(pair)
        reason = self._unpaired(buy, sell)
        if not reason:
            gross = gross_bps(buy.ask, sell.bid)
            reported = self.odd.pop(pair, "") if self.odd else ""
            if gross > self._most:
                return self._implausible(now, pair, gross, reported)
            self._statistics(pair).add(now, gross)
            net = net_bps(buy.ask, sell.bid, buy.fee, sell.fee)
            if net > self._nearly:
                return self._judged(now, pair, gross, max(net, 0.0), reported)
            reason = "spread_gone"
        return [self._close(now, pair, reason)] if opportunity is not None else []

    def _unpaired(self, buy: PairQuote, sell: PairQuote) -> str:
        if (buy.state != "live" and not buy.is_from_rest) or (sell.state != "live" and not sell.is_from_rest):
            return "book_not_live"
        if abs(buy.at - sell.at) > self._window:
            return "quote_too_old"
        return "" if buy.ask and sell.bid else "spread_gone"

    def _judged(self, now: int, pair: Pair, gross: float, net: float, reported: str) -> list[Body]:
        """Decide by exact decimals on a pair that pays by floats."""
        opportunity, buy, sell = self.open.get(pair), self.quotes[pair[0]], self.quotes[pair[1]]
        try:
            execution = execute(buy.asks(), sell.bids(), buy.fee, sell.fee, self._least)
        except RangeError as error:
            self.odd[pair] = "out_of_range"
            if reported == "out_of_range":
                return []
            return [(DEAD_LETTERS, out_of_range(self.symbol, now, JOIN, str(error), buy, sell))]
        if execution is None:
            return [self._close(now, pair, "spread_gone")] if opportunity is not None else []
        kind = "opened" if opportunity is None else "updated"
        opportunity = opportunity or self.open.setdefault(pair, Opportunity(self.symbol, now))
        peaked = opportunity.take(buy, sell, gross, net, execution)
        return [(SIGNALS, opportunity.signal(kind, "", now, self._statistics(pair)))] if peaked else []

    def _implausible(self, now: int, pair: Pair, gross: float, reported: str) -> list[Body]:
        """Report two prices that cannot be of the same coin: once, until they may be again."""
        caused = [self._close(now, pair, "implausible")] if pair in self.open else []
        self.odd[pair] = "implausible"
        if reported != "implausible":
            caused.append(("market.status", implausible(now, self.quotes[pair[0]], self.quotes[pair[1]], gross)))
        return caused

    def _close(self, now: int, pair: Pair, reason: str) -> Body:
        opportunity = self.open.pop(pair)
        opportunity.refresh(self.quotes[pair[0]], self.quotes[pair[1]])
        self.now = max(self.now, now)
        return SIGNALS, opportunity.signal("closed", reason, self.now, self._statistics(pair))

    def _statistics(self, pair: Pair) -> SpreadStatistics:
        return self.statistics.setdefault(pair, SpreadStatistics())

    def _fee(self, exchange: str) -> float:
        if exchange not in self._fees:
            self._fees[exchange] = self._settings.taker_fee_bps(exchange, self.symbol)
        return self._fees[exchange]

    def dump(self) -> bytes:
        """Return the entry for a checkpoint."""
        return pack(
            {
                "checkpoint_offset": self.checkpoint_offset,
                "seen": self.seen,
                "now": self.now,
                "quotes": [[quote.state, Fragment(quote.json)] for quote in self.quotes.values()],
                "odd": [[*pair, reported] for pair, reported in self.odd.items()],
                "open": [[*pair, opportunity.dump()] for pair, opportunity in self.open.items()],
                "statistics": [[*pair, statistics.dump()] for pair, statistics in self.statistics.items()],
            }
        )

    def load(self, dump: bytes) -> None:
        """Restore the entry of a checkpoint."""
        state = unpack(dump)
        self.checkpoint_offset, self.seen, self.now = state["checkpoint_offset"], state["seen"], state["now"]
        for book_state, body in state["quotes"]:
            json = orjson.dumps(body)
            line = decode_quote(json)
            self.quotes[line.exchange] = PairQuote(book_state, line, json, self._fee(line.exchange))
        self.odd = {(buy, sell): reported for buy, sell, reported in state["odd"]}
        self.open = {(buy, sell): Opportunity.load(fields) for buy, sell, fields in state["open"]}
        self.statistics = {(buy, sell): SpreadStatistics(*fields) for buy, sell, fields in state["statistics"]}
