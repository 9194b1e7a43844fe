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

from schemas.errors import RangeError
from schemas.keys import EVERY, UNKNOWN
from schemas.limits import MAX_EVENT
from schemas.settings import Settings
from schemas.sources import split_source
from schemas.topics import DEAD_LETTERS, JOIN, SIGNALS
from streams.arbitrage.execution import execute, gross_bps, net_bps
from streams.arbitrage.lines import STATES, TICK, QuoteLine, decode_quote, decode_tick
from streams.arbitrage.oddities import implausible, malformed, out_of_range
from streams.arbitrage.opportunity import Opportunity
from streams.arbitrage.quotes import PairQuote
from streams.arbitrage.statistics import SpreadStatistics
from streams.output import Output, Record

_AHEAD = 5_000_000  # µs that no quote is later than the ticks of all partitions

Pair = tuple[str, str]  # (exchange to buy on, exchange to sell on)
Told = tuple[str, dict[str, Any]]  # the topic and the body of an event, without its source


class SymbolJoin:
    """Everything about one symbol. `seen`: the highest source of each exchange, so that repetitions are dropped."""

    def __init__(self, symbol: str, settings: Settings) -> None:
        self.symbol = symbol
        self.covered = -1
        self.quotes: dict[str, PairQuote] = {}
        self.open: dict[Pair, Opportunity] = {}
        self.statistics: dict[Pair, SpreadStatistics] = {}
        self.seen: dict[str, list[int]] = {}
        self.odd: dict[Pair, str] = {}  # pairs that cannot be judged, with what was reported of each, once
        self.now = 0  # of all quotes so far: one exchange's may arrive after a later one of another
        self._settings = settings
        self._window = settings.arbitrage_window_ms * 1000
        self._least = settings.arbitrage_min_bps
        self._most = settings.arbitrage_max_bps
        # Floats tell which pairs may pay, decimals which do: net basis points that no float errs by.
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

    def on_quote(self, state: str, line: QuoteLine, json: bytes) -> list[Told]:
        """A quote of one exchange, and what it causes."""
        exchange = line.exchange
        mine = self.quotes[exchange] = PairQuote(state, line, json, self._fee(exchange))
        self.now = max(self.now, mine.at)
        signals: list[Told] = []
        for name, other in self.quotes.items():
            if name != exchange:
                signals += self._pair(self.now, mine, other)
                signals += self._pair(self.now, other, mine)
        return signals

    def on_state(self, state: str, notice: QuoteLine) -> list[Told]:
        """The book of one exchange went out of the live state."""
        exchange, now = notice.exchange, notice.local_timestamp
        quote = self.quotes.get(exchange)
        if quote is None:
            return []
        quote.state = state
        return [
            self._close(now, pair, "book_not_live") for pair in list(self.open) if exchange in pair and state != "live"
        ]

    def on_time(self, times: dict[tuple[str, int], int]) -> list[Told]:
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

    def _pair(self, now: int, buy: PairQuote, sell: PairQuote) -> list[Told]:
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
        if buy.state != "live" or sell.state != "live":
            return "book_not_live"
        if abs(buy.at - sell.at) > self._window:
            return "quote_too_old"
        return "" if buy.ask and sell.bid else "spread_gone"

    def _judged(self, now: int, pair: Pair, gross: float, net: float, reported: str) -> list[Told]:
        """A pair that pays by floats: exact decimals decide."""
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

    def _implausible(self, now: int, pair: Pair, gross: float, reported: str) -> list[Told]:
        """Two prices that cannot be of the same coin: reported once, until they may be again."""
        told = [self._close(now, pair, "implausible")] if pair in self.open else []
        self.odd[pair] = "implausible"
        if reported != "implausible":
            told.append(("market.status", implausible(now, self.quotes[pair[0]], self.quotes[pair[1]], gross)))
        return told

    def _close(self, now: int, pair: Pair, reason: str) -> Told:
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
        return orjson.dumps(
            {
                "covered": self.covered,
                "seen": self.seen,
                "now": self.now,
                "quotes": [[quote.state, Fragment(quote.json)] for quote in self.quotes.values()],
                "odd": [[*pair, reported] for pair, reported in self.odd.items()],
                "open": [[*pair, opportunity.dump()] for pair, opportunity in self.open.items()],
                "statistics": [[*pair, statistics.dump()] for pair, statistics in self.statistics.items()],
            }
        )

    def load(self, dump: bytes) -> None:
        state = orjson.loads(dump)
        self.covered, self.seen, self.now = state["covered"], state["seen"], state["now"]
        for book_state, body in state["quotes"]:
            json = orjson.dumps(body)
            line = decode_quote(json)
            self.quotes[line.exchange] = PairQuote(book_state, line, json, self._fee(line.exchange))
        self.odd = {(buy, sell): reported for buy, sell, reported in state.get("odd", [])}
        self.open = {(buy, sell): Opportunity.load(fields) for buy, sell, fields in state["open"]}
        self.statistics = {(buy, sell): SpreadStatistics(*fields) for buy, sell, fields in state["statistics"]}


class JoinProcessor:
    """One partition of `join.quotes`: its lines to records of signals, and of pairs that cannot be judged.

    See `InstrumentProcessor` for what writes the lines.
    """

    def __init__(self, partition: int, settings: Settings) -> None:
        self.partition = partition
        self.symbols: dict[str, SymbolJoin] = {}
        self.offset = -1
        self._settings = settings
        self._changed: set[str] = set()
        self._own_key = join_key(partition)
        self._covered = -1  # of the partition's own entry
        self._times: dict[tuple[str, int], int] = {}
        self._as_named = not (settings.arbitrage_exclude or settings.arbitrage_aliases)

    def process(self, offset: int, value: bytes) -> list[Record]:
        """One record of the topic."""
        sent: list[Record] = []
        for number, line in enumerate(value.split(b"\n")):
            state, _, body = line.partition(b"\t")
            told = self._on_tick(offset, body) if state == TICK else self._on_line(offset, state, body)
            for n, (topic, event) in enumerate(told):
                sent.append(self._record(f"join:{self.partition}:{offset}:{number}:{n}", topic, event))
        self.offset = offset
        return sent

    def _record(self, source: str, topic: str, event: dict[str, Any]) -> Record:
        key = event["symbol"] if topic == SIGNALS else f"{event['exchange']}:{event['symbol']}"
        return topic, key.encode(), orjson.dumps({"source": source} | event)

    def skip(self, offset: int, value: bytes, reason: str) -> list[Record]:
        """Set a record aside that could not be processed: whole into one dead letter, its quotes forgotten."""
        out, sent = Output(1), list[Record]()
        out.begin(f"join:{self.partition}:{offset}", 0)
        out.dead_letter(UNKNOWN, UNKNOWN, 0, JOIN, reason, value, most=MAX_EVENT)
        for number, line in enumerate(value.split(b"\n"), 1):
            with suppress(msgspec.MsgspecError, KeyError):
                quote = decode_quote(line.partition(b"\t")[2])
                join = self.symbols[self._joined(quote)]
                self._changed.add(join.symbol)
                for n, (topic, event) in enumerate(join.on_state("stale", quote)):
                    sent.append(self._record(f"join:{self.partition}:{offset}:{number}:{n}", topic, event))
        self.offset = offset
        return out.records + sent

    def _on_line(self, offset: int, word: bytes, body: bytes) -> list[Told]:
        try:
            state, quote = STATES[word], decode_quote(body)
            symbol = self._joined(quote)
            if not symbol:
                return []
            join = self.symbols.get(symbol)
            if join is None:
                join = self.symbols[symbol] = SymbolJoin(symbol, self._settings)
            if offset <= join.covered or not join.is_new(quote.source):
                return []
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            return [(DEAD_LETTERS, malformed(JOIN, word + b"\t" + body, error))]
        self._changed.add(symbol)
        return join.on_quote(state, quote, body) if quote.origin else join.on_state(state, quote)

    def _joined(self, quote: QuoteLine) -> str:
        """The symbol that a quote is paired under; empty: never."""
        return quote.symbol if self._as_named else self._settings.joined_symbol(quote.exchange, quote.symbol)

    def _on_tick(self, offset: int, body: bytes) -> list[Told]:
        try:
            exchange, partition, time = decode_tick(body)
            if offset > self._covered:
                self._changed.add(self._own_key)
                self._times[exchange, partition] = time
        except ValueError as error:
            return [(DEAD_LETTERS, malformed(JOIN, TICK + b"\t" + body, error))]
        latest = max(self._times.values()) + _AHEAD
        signals: list[Told] = []
        for join in self.symbols.values():
            if join.now > latest and offset > join.covered:  # our clock was set back
                self._changed.add(join.symbol)
                join.now = latest - _AHEAD
            if join.open and offset > join.covered:
                self._changed.add(join.symbol)
                signals += join.on_time(self._times)
        return signals

    def take_changed(self) -> list[str]:
        """The entries that something reached since the last call: symbols, and the partition's own."""
        changed, self._changed = self._changed, set()
        return sorted(changed)

    def take_gone(self) -> list[str]:
        """No symbol is ever forgotten."""
        return []

    def dump(self, key: str) -> bytes:
        """One checkpoint entry as of the last record."""
        if key == self._own_key:
            self._covered = self.offset
            return orjson.dumps({"covered": self._covered, "times": [[*of, now] for of, now in self._times.items()]})
        self.symbols[key].covered = self.offset
        return self.symbols[key].dump()

    def load(self, key: str, dump: bytes) -> None:
        """Take one checkpoint entry back."""
        if key == self._own_key:
            state = orjson.loads(dump)
            self._covered = state["covered"]
            self._times = {(exchange, partition): now for exchange, partition, now in state["times"]}
        else:
            join = self.symbols[key] = SymbolJoin(key, self._settings)
            join.load(dump)


def join_key(partition: int) -> str:
    """The key of what a partition of the join knows itself."""
    return f"{EVERY}:{partition}"
