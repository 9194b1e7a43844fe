"""All simulated exchanges in one object, with a common market, driver and ground truth."""

import asyncio
from collections.abc import Sequence
from math import inf
from random import Random
from types import TracebackType

import structlog
from pydantic import BaseModel

from marketprism.simulator.exchanges.binance.markets import BinanceCoinm, BinanceSpot, BinanceUsdm
from marketprism.simulator.exchanges.deribit.server import Deribit
from marketprism.simulator.exchanges.htx.linear import HtxLinear
from marketprism.simulator.exchanges.htx.spot import HtxSpot
from marketprism.simulator.exchanges.okx.server import Okx
from marketprism.simulator.market.arbitrage import Arbitrages
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.listings import LISTINGS, listings_of
from marketprism.simulator.market.prices import STEP_S, Market
from marketprism.simulator.plans import Arbitrage, GroundTruth, Plan, Planted
from marketprism.simulator.server.connection import Limits, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer
from schemas.errors import StackError
from schemas.feeds import feed_named
from schemas.settings import load_settings

_log = structlog.get_logger(__name__)

SERVERS: dict[str, type[ExchangeServer]] = {
    "binance-spot": BinanceSpot,
    "binance-usdm": BinanceUsdm,
    "binance-coinm": BinanceCoinm,
    "okx": Okx,
    "htx-spot": HtxSpot,
    "htx-linear": HtxLinear,
    "deribit": Deribit,
}

_MAX_CATCH_UP = 0.5  # s of delay that the driver makes up for; beyond that the market falls behind the clock


class BookView(BaseModel):
    """A true book, best levels first, in the exchange's own notation and units (contracts on derivatives)."""

    feed: str
    symbol: str
    sequence: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class FundingView(BaseModel):
    """The true index price, mark price and funding rate of an instrument, as decimal text.

    `rate` is a fraction for 8 h, and `mean_rate` is what Deribit sends as the rate of the past 8 h. Both are empty
    unless the instrument is a perpetual.
    """

    feed: str
    symbol: str
    index: str
    mark: str
    rate: str
    mean_rate: str


class Simulators:
    """Simulated exchanges on loopback, one address per feed.

    `rate` is a factor on book changes and trades (1: about 40 a second per instrument; 0: nothing changes); `levels`
    is the depth of each side. Exchanges share hidden prices only within one `Simulators`, so arbitrage between them
    requires that.
    """

    def __init__(
        self,
        feeds: Sequence[str] = tuple(SERVERS),
        seed: int = 1,
        rate: float = 1.0,
        levels: int = 50,
        limits: Limits | None = None,
    ) -> None:
        if levels < 10:
            raise StackError("levels must be 10 or more")
        self.rate = rate
        self.paused = False
        self._market = Market(seed)
        self._arbitrages = Arbitrages(self._market)
        self._truth = GroundTruth()
        self._driver: asyncio.Task[None] | None = None
        self._servers: dict[str, ExchangeServer] = {}
        start_ms = now_ms()
        for feed in dict.fromkeys(feeds):
            server = _server_class(feed)
            depth = min(levels, server.max_levels)
            instruments = [
                SimulatedInstrument(listing, self._market, seed, depth, server.lag_steps, server.max_id_step, start_ms)
                for listing in listings_of(feed)
            ]
            self._servers[feed] = server(feed, instruments, limits or Limits())

    @property
    def rate(self) -> float:
        """Factor on book changes and trades; may be set at any time. `StackError` unless it is 0 or at least 0.1."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if rate and not 0.1 <= rate < inf:
            raise StackError("the rate must be 0 or at least 0.1 (slower books would drift apart)")
        self._rate = rate

    @property
    def endpoints(self) -> dict[str, dict[str, str]]:
        """By feed `{"ws": "ws://127.0.0.1:port", "rest": "http://127.0.0.1:port"}`, as in the settings."""
        return {
            feed: {"ws": f"ws://127.0.0.1:{server.port}", "rest": f"http://127.0.0.1:{server.port}"}
            for feed, server in self._servers.items()
        }

    @property
    def planted(self) -> list[Planted]:
        """The ground truth: everything planted so far, in order."""
        return self._truth.planted

    def true_book(self, feed: str, symbol: str) -> BookView:
        """Return the current true book of an instrument."""
        instrument = self.instrument(feed, symbol)
        book, listing = instrument.book, instrument.listing
        bids, asks = (
            [(listing.price_text(price), listing.amount_text(amount)) for price, amount in side.top(len(side))]
            for side in (book.bids, book.asks)
        )
        return BookView(feed=feed, symbol=symbol, sequence=book.sequence, bids=bids, asks=asks)

    def true_funding(self, feed: str, symbol: str) -> FundingView:
        """Return the current index price, mark price and funding rate of an instrument; constant while paused."""
        funding = self.instrument(feed, symbol).funding
        values = {
            "index": funding.index,
            "mark": funding.mark,
            "rate": funding.rate,
            "mean_rate": funding.mean_rate,
        }
        texts = {name: "" if value is None else f"{value:f}" for name, value in values.items()}
        return FundingView(feed=feed, symbol=symbol, **texts)

    def true_trades(self, feed: str, symbol: str) -> range:
        """Return the ids of all trades since the start, sent or not; they are consecutive."""
        return self.instrument(feed, symbol).trade_ids

    def pause(self) -> None:
        """Stop all changes and trades; pending changes are still sent, within the slowest stream's interval (1 s)."""
        self.paused = True

    def resume(self) -> None:
        """Continue after `pause`."""
        self.paused = False

    async def plant(self, plan: Plan) -> Planted:
        """Plant a fault or an arbitrage; `StackError` if its feed or symbol is unknown. `Planted.over` waits for it."""
        if isinstance(plan, Arbitrage):
            plan = _with_fees(plan)
            if plan.buy == plan.sell:
                raise StackError("an arbitrage requires two different feeds")
            buy, sell = self.instrument(plan.buy, plan.symbol), self.instrument(plan.sell, plan.symbol)
            if plan.symbol in self._arbitrages.symbols:
                raise StackError(f"another arbitrage of {plan.symbol} is running: wait until it is over")
            planted = self._truth.add(plan)
            self._arbitrages.plant(planted, plan, buy, sell)
            return planted
        server = self._server(plan.feed)
        if symbol := getattr(plan, "symbol", ""):
            self.instrument(plan.feed, symbol)
        planted = self._truth.add(plan)
        server.plant(planted, plan)
        return planted

    def arbitrage_pairs(self) -> list[tuple[str, str, str]]:
        """Return symbol, buying feed and selling feed of every arbitrage that can be planted."""
        return [
            (listing.symbol, listing.feed, other.feed)
            for listing in LISTINGS
            for other in LISTINGS
            if listing.symbol == other.symbol and listing.feed != other.feed
            if listing.feed in self._servers and other.feed in self._servers
        ]

    async def plant_arbitrages(self, every: float, seed: int = 1) -> None:
        """Plant random arbitrages indefinitely, about every `every` seconds: 2 to 15 bps after fees, for 1 to 4 s."""
        random = Random(f"{seed}:arbitrages")
        pairs = self.arbitrage_pairs()
        if not pairs:
            raise StackError("arbitrage requires two feeds that list the same symbol")
        while True:
            await asyncio.sleep(every * random.uniform(0.5, 1.5))
            symbol, buy, sell = random.choice(pairs)
            if symbol in self._arbitrages.symbols:
                continue
            bps = sum(_taker_fee(feed, symbol) for feed in (buy, sell)) + random.uniform(2.0, 15.0)
            await self.plant(
                Arbitrage(symbol=symbol, buy=buy, sell=sell, bps=round(bps, 2), seconds=random.uniform(1.0, 4.0))
            )

    async def start(self, ports: dict[str, int] | None = None) -> None:
        """Listen on `ports` (by feed; any free port where none is given) and start the market."""
        try:
            for feed, server in self._servers.items():
                await server.start((ports or {}).get(feed, 0))
        except StackError:
            await self.stop()
            raise
        self._driver = asyncio.create_task(self._drive())
        _log.info("simulated exchanges are listening", endpoints=self.endpoints)

    async def stop(self) -> None:
        """Stop the market and close all connections."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.wait([self._driver])
        await asyncio.gather(*(server.stop() for server in self._servers.values()))

    async def __aenter__(self) -> "Simulators":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        due, number = loop.time(), 0
        while True:
            self._step(number)
            number += 1
            due = max(due + STEP_S, loop.time() - _MAX_CATCH_UP)
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _step(self, number: int) -> None:
        self._arbitrages.step()
        if not self.paused:
            self._market.step()
        for server in self._servers.values():
            server.step(number, self.rate, self.paused)

    def _server(self, feed: str) -> ExchangeServer:
        if feed not in self._servers:
            raise StackError(f"{feed!r} is not simulated here: simulated feeds are {', '.join(self._servers)}")
        return self._servers[feed]

    def instrument(self, feed: str, symbol: str) -> SimulatedInstrument:
        """Return an instrument, whose figures are the truth; `StackError` if it is not listed."""
        instruments = self._server(feed).instruments
        if symbol not in instruments:
            raise StackError(f"{feed} does not list {symbol!r}: it lists {', '.join(instruments)}")
        return instruments[symbol]


def _server_class(feed: str) -> type[ExchangeServer]:
    if feed not in SERVERS:
        raise StackError(f"no simulated exchange for feed {feed!r}: known feeds are {', '.join(SERVERS)}")
    return SERVERS[feed]


def _taker_fee(feed: str, symbol: str) -> float:
    return load_settings().taker_fee_bps(feed_named(feed).exchange, symbol)


def _with_fees(plan: Arbitrage) -> Arbitrage:
    buy, sell = plan.buy_fee_bps, plan.sell_fee_bps
    return plan.model_copy(
        update={
            "buy_fee_bps": _taker_fee(plan.buy, plan.symbol) if buy is None else buy,
            "sell_fee_bps": _taker_fee(plan.sell, plan.symbol) if sell is None else sell,
        }
    )
