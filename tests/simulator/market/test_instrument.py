"""The simulated market without sockets: valid books of the configured depth, repeatable, and close to each other."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.listings import LISTINGS, OPTIONS, Listing
from marketprism.simulator.market.prices import Market
from marketprism.simulator.simulators import SERVERS
from tests.simulator.market.figures import START_MS


def instrument(listing: Listing, market: Market, seed: int = 1, levels: int = 50) -> SimulatedInstrument:
    server = SERVERS[listing.feed]
    return SimulatedInstrument(listing, market, seed, levels, server.lag_steps, server.max_id_step, START_MS)


def best_prices(simulated: SimulatedInstrument) -> tuple[float, float]:
    tick = float(simulated.listing.tick)
    return simulated.book.bids.at(0) * tick, simulated.book.asks.at(0) * tick


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from([0.1, 1.0, 20.0]), levels=st.integers(10, 60))
def test_books_stay_valid(seed: int, rate: float, levels: int) -> None:
    """For every seed both sides keep their depth, never cross and have positive amounts, and ids only increase."""
    market = Market(seed)
    listings = (*LISTINGS, *OPTIONS)
    simulated = instrument(listings[seed % len(listings)], market, seed, levels)
    last = simulated.book.sequence
    for _ in range(200):
        market.step()
        for trade in simulated.step(rate):
            book = simulated.book
            assert len(book.bids) == len(book.asks) == levels
            assert book.bids.at(0) < book.asks.at(0)
            assert min(*book.bids.amounts.values(), *book.asks.amounts.values()) > 0
            assert book.top_sequence <= book.sequence
            assert book.sequence >= last
            assert trade is None or trade.amount > 0
            last = book.sequence


def test_same_seed_gives_same_states() -> None:
    """Two runs with one seed have equal books after every step; a run with another seed does not."""

    def run(seed: int) -> list[object]:
        market = Market(seed)
        simulated = instrument(LISTINGS[2], market, seed)
        states: list[object] = []
        for _ in range(100):
            market.step()
            trades, book = list(simulated.step(1.0)), simulated.book
            states.append((trades, book.sequence, book.bids.top(50), book.asks.top(50)))
        return states

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_trade_ids_are_consecutive() -> None:
    """`trade_ids` is empty at first, and then has the ids of all trades in order."""
    market = Market(2)
    simulated = instrument(LISTINGS[0], market, 2)
    assert list(simulated.trade_ids) == []
    trades = [trade.id for _ in range(200) for trade in simulated.step(5.0) if trade is not None]
    assert list(simulated.trade_ids) == trades
    assert len(trades) > 5


def test_trades_enter_the_figures() -> None:
    """A trade that is reported counts in the candles and in the last 24 hours, and may be a liquidation."""
    market, listing = Market(2), LISTINGS[2]
    simulated = instrument(listing, market, 2)
    before = simulated.day.at(START_MS)
    trades = [trade for _ in range(200) for trade in simulated.step(5.0) if trade is not None]
    for trade in trades:
        simulated.on_trade(trade, START_MS)
    assert simulated.candles.trades == len(trades)
    day = simulated.day.at(START_MS)
    assert day.volume - before.volume == sum(trade.amount for trade in trades) * listing.lot
    assert day.close == listing.price(trades[-1].price)
    forced = [trade.id for trade in trades if simulated.liquidations.is_liquidation(trade.id)]
    assert [each.trade_id for each in simulated.liquidations.recent] == forced != []


@pytest.mark.parametrize("listing", OPTIONS)
@pytest.mark.parametrize("levels", [50, 1_000])
def test_books_of_options(listing: Listing, levels: int) -> None:
    """The mid price is within three ticks of the mark price in 99 of 100 steps, and all bids are positive."""
    market = Market(4)
    simulated = instrument(listing, market, 4, levels)
    assert simulated.option is not None
    marks, far = set(), 0
    for _ in range(3_000):
        market.step()
        list(simulated.step(1.0))
        mark = simulated.mark / listing.tick
        marks.add(simulated.mark)
        far += abs(Decimal(simulated.mid) - mark) > 3
        assert simulated.book.bids.at(-1) > 0
    assert far < 30
    assert len(marks) > 100
    assert simulated.mark == simulated.option.mark != simulated.funding.mark


@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_no_arbitrage_without_planting(rate: float) -> None:
    """The gross spread of one symbol stays below 6 bps, even with quotes half a second old (two taker fees: 10)."""
    market = Market(5)
    simulated = {(listing.symbol, listing.feed): instrument(listing, market, 5) for listing in LISTINGS}
    symbols = {symbol for symbol, _ in simulated}
    worst = -99.0
    past: list[dict[tuple[str, str], tuple[float, float]]] = []
    for step in range(12_000):
        market.step()
        for each in simulated.values():
            list(each.step(rate))
        if step % 10:
            continue
        past = [*past[-5:], {key: best_prices(each) for key, each in simulated.items()}]
        for symbol in symbols:
            feeds = [feed for name, feed in simulated if name == symbol]
            for buy, sell in ((a, b) for a in feeds for b in feeds if a != b):
                for old, new in ((past[0], past[-1]), (past[-1], past[0]), (past[-1], past[-1])):
                    worst = max(worst, (new[symbol, sell][0] / old[symbol, buy][1] - 1) * 10_000)
    assert worst < 6.0
