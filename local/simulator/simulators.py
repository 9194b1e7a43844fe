"""All simulated exchanges together: one hidden price, planted arbitrages, faults; as a context manager."""

import asyncio
import time
from collections.abc import Iterable
from itertools import count
from types import TracebackType
from typing import Any

import structlog

from local.simulator.binance import BinanceSpot, BinanceUsdm
from local.simulator.faults import Fault, Kind
from local.simulator.market import HiddenPrice, TrueBook
from local.simulator.okx import Okx
from local.simulator.planted import Planted, expected
from local.simulator.server import SimulatedExchange
from schemas.errors import StackError
from schemas.feeds import FEEDS
from schemas.settings import load_settings

log = structlog.get_logger(__name__)

EXCHANGES: dict[str, type[SimulatedExchange]] = {kind.feed: kind for kind in (BinanceSpot, BinanceUsdm, Okx)}
_PRICES = {"BTC": 86_750.0, "ETH": 2_680.0}


class Simulators:
    """`interval`: seconds between book updates of an instrument; `quotes`: BBO frames to each of them."""

    def __init__(
        self,
        feeds: Iterable[str] = tuple(EXCHANGES),
        seed: int = 1,
        interval: float = 0.1,
        quotes: int = 3,
        depth: int = 50,
    ) -> None:
        self._hidden = {base: HiddenPrice(price, seed * 1000 + n) for n, (base, price) in enumerate(_PRICES.items())}
        self._interval = interval
        self._settings = load_settings()
        self.exchanges = {feed: self._exchange(feed, n, seed, quotes, depth) for n, feed in enumerate(feeds)}
        self.planted: list[Planted] = []
        self.faults: list[Fault] = []
        self._ids = count(1)
        self._tasks: list[asyncio.Task[None]] = []
        self._plants: set[asyncio.Task[None]] = set()

    def _exchange(self, feed: str, number: int, seed: int, quotes: int, depth: int) -> SimulatedExchange:
        if feed not in EXCHANGES:
            raise StackError(f"no simulator for {feed}: there are {', '.join(EXCHANGES)}")
        kind = EXCHANGES[feed]
        books = {
            listing.symbol: TrueBook(
                listing,
                self._hidden[listing.symbol.split("-")[0]],
                kind.delay,
                depth,
                seed * 7919 + number * 101 + place,
            )
            for place, listing in enumerate(kind.listings)
        }
        return kind(books, self._interval, quotes, seed + number)

    async def __aenter__(self) -> "Simulators":
        for exchange in self.exchanges.values():
            await exchange.start()
            self._tasks.append(asyncio.create_task(exchange.run()))
        self._tasks.append(asyncio.create_task(self._walk()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for task in [*self._tasks, *self._plants]:
            task.cancel()
        for exchange in self.exchanges.values():
            await exchange.stop()

    async def _walk(self) -> None:
        while True:
            for hidden in self._hidden.values():
                hidden.step()
            await asyncio.sleep(self._interval)

    @property
    def endpoints(self) -> dict[str, dict[str, str]]:
        """Per feed `ws` and `rest`, for the setting `endpoints`."""
        return {feed: exchange.endpoint for feed, exchange in self.exchanges.items()}

    def true_book(self, feed: str, symbol: str) -> TrueBook:
        return self._exchange_of(feed).book_of(symbol)

    def _exchange_of(self, feed: str) -> SimulatedExchange:
        try:
            return self.exchanges[feed]
        except KeyError:
            raise StackError(f"{feed} is not simulated here: {', '.join(self.exchanges)} are") from None

    async def fault(self, kind: Kind, feed: str, symbol: str = "", **details: Any) -> Fault:
        """Plant a fault now; see `Fault` for the details."""
        fault = Fault(next(self._ids), kind, feed, symbol, time.time_ns(), **details)
        self.faults.append(fault)
        await self._exchange_of(feed).fault(fault)
        return fault

    async def plant(
        self, symbol: str, buy_feed: str, sell_feed: str, bps: float, duration: float, levels: int = 5
    ) -> Planted:
        """Shift two books apart until selling at the one's bid over buying at the other's ask grosses `bps`.

        Both books stand still meanwhile (their deep levels go on changing), so that what it earns is well-defined.
        """
        buy, sell = self.true_book(buy_feed, symbol), self.true_book(sell_feed, symbol)
        if buy.frozen_mid or sell.frozen_mid:
            raise StackError(f"an arbitrage in {symbol} is planted there already")
        middle = (buy.mid + sell.mid) / 2
        shift = (bps + 2 * 0.8) / 2 / 10_000  # both half spreads have to be crossed first
        buy.frozen_mid, sell.frozen_mid = middle * (1 - shift), middle * (1 + shift)
        for feed, book in ((buy_feed, buy), (sell_feed, sell)):
            self._exchange_of(feed).step(book)
        fees = tuple(self._settings.taker_fee_bps(FEEDS[feed].exchange, symbol) for feed in (buy_feed, sell_feed))
        amount, profit = expected(buy, sell, (fees[0], fees[1]), levels)
        planted = Planted(
            next(self._ids), symbol, buy_feed, sell_feed, bps, duration, time.time_ns(), str(amount), str(profit)
        )
        self.planted.append(planted)
        log.info("arbitrage planted", **planted.as_dict())
        task = asyncio.create_task(self._remove(planted, buy, sell))
        self._plants.add(task)
        task.add_done_callback(self._plants.discard)
        return planted

    async def _remove(self, planted: Planted, buy: TrueBook, sell: TrueBook) -> None:
        await asyncio.sleep(planted.duration)
        buy.frozen_mid = sell.frozen_mid = 0.0
        planted.removed_at = time.time_ns()
        log.info("arbitrage removed", id=planted.id, symbol=planted.symbol)
