"""The windowed join: quotes of one symbol over all exchanges, and the life of each opportunity between two of them.

Faust has no joins (`faust/joins.py` raises `NotImplementedError`), so this is a sliding-window stream-stream join of
our own: each exchange's latest quote is kept, and two may pair while they lie within the window of each other by
`local_timestamp`. One partition holds all exchanges' quotes of its symbols.
"""

from contextlib import suppress
from typing import Any

import msgspec
import orjson
from orjson import Fragment

from schemas.limits import MAX_EVENT
from schemas.raw import UNKNOWN
from schemas.settings import Settings
from schemas.topics import JOIN, SIGNALS
from streams.opportunity import Opportunity, PairQuote, QuoteLine
from streams.output import Output, Record
from streams.spread import SpreadStatistics, execute, gross_bps, net_bps

_decoded = msgspec.json.Decoder(QuoteLine).decode

Pair = tuple[str, str]  # (exchange to buy on, exchange to sell on)


class SymbolJoin:
    """Everything about one symbol. `seen`: the highest source of each exchange, so that repetitions are dropped."""

    def __init__(self, symbol: str, settings: Settings) -> None:
        self.symbol = symbol
        self.covered = -1
        self.quotes: dict[str, PairQuote] = {}
        self.open: dict[Pair, Opportunity] = {}
        self.statistics: dict[Pair, SpreadStatistics] = {}
        self.seen: dict[str, list[int]] = {}
        self.now = 0  # of all quotes so far: one exchange's may arrive after a later one of another
        self._settings = settings
        self._window = settings.arbitrage_window_ms * 1000
        self._least = settings.arbitrage_min_bps
        self._fees: dict[str, float] = {}

    def is_new(self, source: str) -> bool:
        """Whether a source is above all seen of its exchange; if so it is the highest now."""
        exchange, *position = source.split(":")
        place = [int(number) for number in position]
        if place <= self.seen.get(exchange, []):
            return False
        self.seen[exchange] = place
        return True

    def on_quote(self, state: str, line: QuoteLine, json: bytes) -> list[dict[str, Any]]:
        """A quote of one exchange; signal bodies without source."""
        exchange = line.exchange
        mine = self.quotes[exchange] = PairQuote(state, line, json, self._fee(exchange))
        self.now = max(self.now, mine.at)
        signals = []
        for name, other in self.quotes.items():
            if name != exchange:
                signals += self._pair(self.now, mine, other)
                signals += self._pair(self.now, other, mine)
        return signals

    def on_state(self, state: str, notice: QuoteLine) -> list[dict[str, Any]]:
        """The book of one exchange went out of the live state."""
        exchange, now = notice.exchange, notice.local_timestamp
        quote = self.quotes.get(exchange)
        if quote is None:
            return []
        quote.state = state
        return [
            self._close(now, pair, "book_not_live") for pair in list(self.open) if exchange in pair and state != "live"
        ]

    def on_time(self, times: dict[tuple[str, int], int]) -> list[dict[str, Any]]:
        """Stream time, per exchange and raw partition: opportunities of which one quote has become too old are closed.

        Of each quote its own partition's time counts, and of the two the slower: while a partition is still being
        caught up with, its quotes are not old.
        """
        signals = []
        for pair in list(self.open):
            now = min(times.get((exchange, self.seen[exchange][0]), 0) for exchange in pair)
            if now - min(self.quotes[exchange].at for exchange in pair) > self._window:
                signals.append(self._close(now, pair, "quote_too_old"))
        return signals

    def _pair(self, now: int, buy: PairQuote, sell: PairQuote) -> list[dict[str, Any]]:
        pair = (buy.exchange, sell.exchange)
        opportunity = self.open.get(pair)
        reason = self._unpaired(buy, sell)
        if not reason:
            gross = gross_bps(buy.ask, sell.bid)
            self._statistics(pair).add(now, gross)
            net = net_bps(buy.ask, sell.bid, buy.fee, sell.fee)
            if net > 0 and net >= self._least:
                return self._pays(now, pair, opportunity, gross, net)
            reason = "spread_gone"
        return [self._close(now, pair, reason)] if opportunity is not None else []

    def _unpaired(self, buy: PairQuote, sell: PairQuote) -> str:
        if buy.state != "live" or sell.state != "live":
            return "book_not_live"
        if abs(buy.at - sell.at) > self._window:
            return "quote_too_old"
        return "" if buy.ask and sell.bid else "spread_gone"

    def _pays(
        self, now: int, pair: Pair, opportunity: Opportunity | None, gross: float, net: float
    ) -> list[dict[str, Any]]:
        buy, sell = self.quotes[pair[0]], self.quotes[pair[1]]
        execution = execute(buy.asks(), sell.bids(), buy.fee, sell.fee)
        if opportunity is None:
            opportunity = self.open[pair] = Opportunity(self.symbol, now)
            opportunity.take(buy, sell, gross, net, execution)
            return [opportunity.signal("opened", "", now, self._statistics(pair))]
        peaked = opportunity.take(buy, sell, gross, net, execution)
        return [opportunity.signal("updated", "", now, self._statistics(pair))] if peaked else []

    def _close(self, now: int, pair: Pair, reason: str) -> dict[str, Any]:
        opportunity = self.open.pop(pair)
        opportunity.refresh(self.quotes[pair[0]], self.quotes[pair[1]])
        self.now = max(self.now, now)
        return opportunity.signal("closed", reason, self.now, self._statistics(pair))

    def _statistics(self, pair: Pair) -> SpreadStatistics:
        return self.statistics.setdefault(pair, SpreadStatistics())

    def _fee(self, exchange: str) -> float:
        if exchange not in self._fees:
            self._fees[exchange] = self._settings.taker_fee_bps(exchange, self.symbol)
        return self._fees[exchange]

    def dump(self) -> bytes:
        return orjson.dumps(
            {
                "covered": self.covered,
                "seen": self.seen,
                "now": self.now,
                "quotes": [[quote.state, Fragment(quote.json)] for quote in self.quotes.values()],
                "open": [[*pair, opportunity.dump()] for pair, opportunity in self.open.items()],
                "statistics": [[*pair, statistics.dump()] for pair, statistics in self.statistics.items()],
            }
        )

    def load(self, dump: bytes) -> None:
        state = orjson.loads(dump)
        self.covered, self.seen, self.now = state["covered"], state["seen"], state["now"]
        for book_state, body in state["quotes"]:
            json = orjson.dumps(body)
            line = _decoded(json)
            self.quotes[line.exchange] = PairQuote(book_state, line, json, self._fee(line.exchange))
        self.open = {(buy, sell): Opportunity.load(fields) for buy, sell, fields in state["open"]}
        self.statistics = {(buy, sell): SpreadStatistics(*fields) for buy, sell, fields in state["statistics"]}


class JoinPartition:
    """One partition of `join.quotes`: its lines to signal records. See `InstrumentStream` for what writes the lines."""

    def __init__(self, partition: int, settings: Settings) -> None:
        self.partition = partition
        self.symbols: dict[str, SymbolJoin] = {}
        self.offset = -1
        self._settings = settings
        self._changed: set[str] = set()
        self._times: dict[tuple[str, int], int] = {}

    def process(self, offset: int, value: bytes) -> list[Record]:
        """One record of the topic."""
        sent: list[Record] = []
        for number, line in enumerate(value.split(b"\n")):
            state, _, body = line.partition(b"\t")
            signals = self._on_tick(offset, body) if state == b"tick" else self._on_line(offset, state.decode(), body)
            for n, signal in enumerate(signals):
                source = {"source": f"join:{self.partition}:{offset}:{number}:{n}"}
                sent.append((SIGNALS, signal["symbol"].encode(), orjson.dumps(source | signal)))
        self.offset = offset
        return sent

    def skip(self, offset: int, value: bytes, reason: str) -> list[Record]:
        """Set a record aside that could not be processed: whole into one dead letter, its quotes forgotten."""
        out, sent, number = Output(1), list[Record](), 0
        out.begin(f"join:{self.partition}:{offset}", 0)
        out.dead_letter("?", UNKNOWN, 0, JOIN, reason, value, most=MAX_EVENT)
        for number, line in enumerate(value.split(b"\n"), 1):
            with suppress(msgspec.MsgspecError, KeyError):
                quote = _decoded(line.partition(b"\t")[2])
                join = self.symbols[quote.symbol]
                self._changed.add(quote.symbol)
                for n, signal in enumerate(join.on_state("stale", quote)):
                    source = {"source": f"join:{self.partition}:{offset}:{number}:{n}"}
                    sent.append((SIGNALS, signal["symbol"].encode(), orjson.dumps(source | signal)))
        self.offset = offset
        return out.records + sent

    def _on_line(self, offset: int, state: str, body: bytes) -> list[dict[str, Any]]:
        quote = _decoded(body)
        symbol = quote.symbol
        join = self.symbols.get(symbol)
        if join is None:
            join = self.symbols[symbol] = SymbolJoin(symbol, self._settings)
        if offset <= join.covered or not join.is_new(quote.source):
            return []
        self._changed.add(symbol)
        return join.on_quote(state, quote, body) if quote.origin else join.on_state(state, quote)

    def _on_tick(self, offset: int, body: bytes) -> list[dict[str, Any]]:
        exchange, partition, stamp = body.decode().split("\t")
        self._times[exchange, int(partition)] = int(stamp)
        signals = []
        for join in self.symbols.values():
            if join.open and offset > join.covered:
                self._changed.add(join.symbol)
                signals += join.on_time(self._times)
        return signals

    def take_changed(self) -> list[str]:
        """The symbols that something reached since the last call."""
        changed, self._changed = self._changed, set()
        return sorted(changed)

    def take_gone(self) -> list[str]:
        """No symbol is ever forgotten."""
        return []

    def dump(self, symbol: str) -> bytes:
        """One symbol's checkpoint entry as of the last record."""
        self.symbols[symbol].covered = self.offset
        return self.symbols[symbol].dump()

    def load(self, symbol: str, dump: bytes) -> None:
        """Take one symbol's checkpoint entry back."""
        join = self.symbols[symbol] = SymbolJoin(symbol, self._settings)
        join.load(dump)
