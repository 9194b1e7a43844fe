"""Run cryptofeed on recorded frames. `bench/rigs/rival.py` starts this in its own environment, without our packages.

Arguments: the library's class (`Binance`, `OKX`, …), a file of `<receipt ns> <frame>` lines, how often a run repeats
the file, and the exchange's names of all symbols. Each line on standard input starts a run, which prints CPU seconds.
"""

import asyncio
import gzip
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptofeed import exchanges
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.symbols import Symbols
from cryptofeed.types import OrderBook
from yapic import json

_SNAPSHOT = '{"lastUpdateId"'
# Options with which it does the same work as ours: checksums are verified. Deribit's raw books require some account.
_OPTIONS: dict[str, dict[str, Any]] = {
    "OKX": {"checksum_validation": True},
    "Deribit": {"config": {"deribit": {"key_id": "none", "key_secret": "none"}}},
}
_GZIPPED = ("Huobi", "HuobiSwap")


class _Connection:
    uuid = "recorded"


async def _ignore(update: Any, timestamp: float) -> None:
    """Callback of the library's user."""


def _feed(kind: str, symbols: list[str], snapshots: list[str]) -> Any:
    cls = getattr(exchanges, kind)
    Symbols.set(cls.id, {name: name for name in symbols}, {"instrument_type": dict.fromkeys(symbols, "spot")})
    channels = [L2_BOOK, TRADES, TICKER] if kind.startswith("Binance") else [L2_BOOK, TRADES]
    feed = cls(symbols=symbols, channels=channels, callbacks=dict.fromkeys(channels, _ignore), **_OPTIONS.get(kind, {}))

    async def recorded(pair: str, *_: Any) -> None:
        """Replace the library's REST request: handle the recorded snapshot as it handles the response."""
        body, own = json.loads(snapshots[0], parse_float=Decimal), feed.exchange_symbol_to_std_symbol(pair)
        sides = [{Decimal(price): Decimal(amount) for price, amount in body[side]} for side in ("bids", "asks")]
        feed.last_update_id[own] = body["lastUpdateId"]
        feed._l2_book[own] = OrderBook(feed.id, own, bids=sides[0], asks=sides[1])

    if snapshots:
        feed._snapshot = recorded
    for reset in {"_reset", f"_{kind}__reset"} & set(dir(feed)):
        getattr(feed, reset)()
    return feed


def _frame(kind: str, frame: str) -> str | bytes:
    if kind in _GZIPPED:
        return gzip.compress(frame.encode())
    # cryptofeed subscribes to Binance's aggregated trades, whose frames have the same fields.
    return (
        frame.replace('"e":"trade"', '"e":"aggTrade"').replace('"t":', '"a":', 1) if '"e":"trade"' in frame else frame
    )


async def _run(feed: Any, frames: list[tuple[float, str | bytes]]) -> float:
    handle = feed.message_handler
    before = time.process_time()
    for stamp, frame in frames:
        await handle(frame, _Connection, stamp)
    return time.process_time() - before


def main() -> None:
    kind, path, times, *symbols = sys.argv[1:]
    rows = [line.partition(" ") for line in Path(path).read_text().splitlines()]
    snapshots = [frame for _, _, frame in rows if frame.startswith(_SNAPSHOT)]
    frames = [(int(stamp) / 1e9, _frame(kind, frame)) for stamp, _, frame in rows if not frame.startswith(_SNAPSHOT)]
    print("ready", flush=True)
    for _ in sys.stdin:
        print(sum(asyncio.run(_run(_feed(kind, symbols, snapshots), frames)) for _ in range(int(times))), flush=True)


if __name__ == "__main__":
    main()
