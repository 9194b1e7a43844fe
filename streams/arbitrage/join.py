"""The windowed join: quotes of one symbol over all exchanges in, signals out.

Faust has no joins (`faust/joins.py` raises `NotImplementedError`), so this is a sliding-window stream-stream join of
our own. The latest quote of each exchange is kept, and two of them pair while they lie within the window of each other
by `local_timestamp`. One partition holds all exchanges' quotes of its symbols.
"""

from contextlib import suppress
from typing import Any

import msgspec

from schemas.keys import EVERY, UNKNOWN, input_partition_of, key_of
from schemas.limits import MAX_EVENT
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, JOIN, SIGNALS
from streams.arbitrage.lines import STATES, TICK, QuoteLine, decode_quote, decode_tick
from streams.arbitrage.oddities import malformed
from streams.arbitrage.symbol_join import Body, SymbolJoin
from streams.output import Output
from streams.state import KeyedState

_AHEAD = 5_000_000  # µs: no quote is later than the ticks of all partitions by more


class JoinProcessor(KeyedState[SymbolJoin]):
    """Processes one partition of `join.quotes` (`streams/arbitrage/lines.py`). Its entries are its symbols' joins.

    Its own entry, `*:<partition>`, holds the stream time of each raw partition.
    """

    def __init__(self, partition: int, settings: Settings) -> None:
        super().__init__(join_key(partition))
        self.partition = partition
        self._settings = settings
        self._times: dict[tuple[str, int], int] = {}
        self._as_named = not (settings.arbitrage_exclude or settings.arbitrage_aliases)

    def process(self, offset: int, value: bytes) -> Output:
        """Process one record."""
        out = Output(self._settings.partitions)
        origin = f"join:{self.partition}:{offset}"
        for number, line in enumerate(value.split(b"\n")):
            out.begin(origin, number)
            state, _, body = line.partition(b"\t")
            caused = self._on_tick(offset, body) if state == TICK else self._on_line(offset, state, body)
            if caused:
                _publish(out, caused)
        self.offset = offset
        return out

    def skip(self, offset: int, value: bytes, reason: str) -> Output:
        """Set a record aside that could not be processed: one dead letter holds it, its quotes are forgotten."""
        out, origin = Output(self._settings.partitions), f"join:{self.partition}:{offset}"
        out.begin(origin, 0)
        out.dead_letter(UNKNOWN, UNKNOWN, JOIN, reason, value, most=MAX_EVENT)
        for number, line in enumerate(value.split(b"\n"), 1):
            out.begin(origin, number)
            with suppress(msgspec.MsgspecError, KeyError):
                quote = decode_quote(line.partition(b"\t")[2])
                join = self.entries[self._joined(quote)]
                self.changed.add(join.symbol)
                _publish(out, join.on_state("stale", quote))
        self.offset = offset
        return out

    def _on_line(self, offset: int, word: bytes, body: bytes) -> list[Body]:
        try:
            state, quote = STATES[word], decode_quote(body)
            symbol = self._joined(quote)
            if not symbol:
                return []
            join = self.entries.get(symbol)
            if join is None:
                join = self.entries[symbol] = SymbolJoin(symbol, self._settings)
            if offset <= join.checkpoint_offset or not join.is_new(quote.source):
                return []
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            return [(DEAD_LETTERS, malformed(JOIN, word + b"\t" + body, error))]
        self.changed.add(symbol)
        return join.on_quote(state, quote, body) if quote.origin else join.on_state(state, quote)

    def _joined(self, quote: QuoteLine) -> str:
        """Return the symbol under which a quote is paired; empty if it never is."""
        return quote.symbol if self._as_named else self._settings.joined_symbol(quote.exchange, quote.symbol)

    def _on_tick(self, offset: int, body: bytes) -> list[Body]:
        try:
            exchange, partition, time = decode_tick(body)
        except ValueError as error:
            return [(DEAD_LETTERS, malformed(JOIN, TICK + b"\t" + body, error))]
        if offset > self.own_checkpoint_offset:
            self.changed.add(self.own_key)
            self._times[exchange, partition] = time
        latest = max(self._times.values()) + _AHEAD
        caused: list[Body] = []
        for join in self.entries.values():
            if join.now > latest and offset > join.checkpoint_offset:  # our clock was set back
                self.changed.add(join.symbol)
                join.now = latest - _AHEAD
            if join.open and offset > join.checkpoint_offset:
                self.changed.add(join.symbol)
                caused += join.on_time(self._times)
        return caused

    # Checkpoint

    def owns(self, key: str) -> bool:
        if key.startswith(EVERY):
            return key == self.own_key
        return input_partition_of(key, self._settings.partitions) == self.partition

    def dump_own(self) -> Any:
        return [[*of, time] for of, time in self._times.items()]

    def load_own(self, state: Any) -> None:
        self._times = {(exchange, partition): time for exchange, partition, time in state}

    def load_entry(self, key: str, dump: bytes) -> SymbolJoin:
        join = SymbolJoin(key, self._settings)
        join.load(dump)
        return join


def _publish(out: Output, caused: list[Body]) -> None:
    for topic, event in caused:
        key = event["symbol"] if topic == SIGNALS else key_of(event["exchange"], event["symbol"])
        out.event(topic, key.encode(), {"source": out.source()} | event)


def join_key(partition: int) -> str:
    """Return the key of a partition's own entry."""
    return f"{EVERY}:{partition}"
