"""cryptofeed over recorded Binance frames, in its own environment: run by `bench/rival.py`, imports nothing of ours.

Arguments: class (`Binance`, `BinanceFutures`), its symbol, the exchange's symbol, a file of `<receipt ns> <frame>`
lines, of which one is the REST depth snapshot. Each line on standard input is a run; its CPU seconds are the answer.
"""

import asyncio
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


async def _take(update: Any, timestamp: float) -> None:
    """What a user of the library is called with."""


def _feed(kind: str, symbol: str, name: str, snapshot: str) -> Any:
    cls = getattr(exchanges, kind)
    Symbols.set(cls.id, {symbol: name}, {})
    channels = [L2_BOOK, TRADES, TICKER]
    feed = cls(symbols=[symbol], channels=channels, callbacks=dict.fromkeys(channels, _take))
    feed._reset()

    async def recorded(pair: str, *_: Any) -> None:
        """Instead of asking the exchange: as the library's own does with the answer."""
        body, own = json.loads(snapshot, parse_float=Decimal), feed.exchange_symbol_to_std_symbol(pair)
        sides = [{Decimal(price): Decimal(amount) for price, amount in body[side]} for side in ("bids", "asks")]
        feed.last_update_id[own] = body["lastUpdateId"]
        feed._l2_book[own] = OrderBook(feed.id, own, bids=sides[0], asks=sides[1])

    feed._snapshot = recorded
    return feed


def _frames(path: str) -> tuple[str, list[tuple[float, str]]]:
    snapshot, frames = "", []
    for line in Path(path).read_text().splitlines():
        stamp, _, frame = line.partition(" ")
        if frame.startswith('{"lastUpdateId"'):
            snapshot = frame
        elif '"e":"trade"' in frame:  # it subscribes to aggregated trades, whose frames have the same fields
            frames.append((int(stamp) / 1e9, frame.replace('"e":"trade"', '"e":"aggTrade"').replace('"t":', '"a":', 1)))
        else:
            frames.append((int(stamp) / 1e9, frame))
    return snapshot, frames


async def _run(feed: Any, frames: list[tuple[float, str]]) -> float:
    handle = feed.message_handler
    before = time.process_time()
    for stamp, frame in frames:
        await handle(frame, None, stamp)
    return time.process_time() - before


def main() -> None:
    kind, symbol, name, path = sys.argv[1:]
    snapshot, frames = _frames(path)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(asyncio.run(_run(_feed(kind, symbol, name, snapshot), frames)), flush=True)


if __name__ == "__main__":
    main()
