"""The simulated market without sockets: uncrossed books of the wanted depth, repeatable, and close to each other."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketprism.simulator import Simulators
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.listings import LISTINGS, Listing
from marketprism.simulator.market.prices import START, Market
from marketprism.simulator.simulators import SERVERS
from schemas.errors import StackError


def instrument(listing: Listing, market: Market, seed: int = 1, levels: int = 50) -> SimulatedInstrument:
    kind = SERVERS[listing.feed]
    return SimulatedInstrument(listing, market, seed, levels, kind.delay, kind.stride)


def tops(made: SimulatedInstrument) -> tuple[float, float]:
    tick = float(made.listing.tick)
    return made.book.bids.at(0) * tick, made.book.asks.at(0) * tick


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from([0.1, 1.0, 20.0]), levels=st.integers(10, 60))
def test_books_stay_whole(seed: int, rate: float, levels: int) -> None:
    """Whatever the seed: both sides keep their depth, never cross, hold positive amounts, and ids only grow."""
    market = Market(seed)
    made = instrument(LISTINGS[seed % len(LISTINGS)], market, seed, levels)
    last = made.book.sequence
    for _ in range(200):
        market.step()
        for trade in made.step(rate):
            book = made.book
            assert len(book.bids) == len(book.asks) == levels
            assert book.bids.at(0) < book.asks.at(0)
            assert min(*book.bids.amounts.values(), *book.asks.amounts.values()) > 0
            assert book.top_sequence <= book.sequence
            assert book.sequence >= last
            assert trade is None or trade.amount > 0
            last = book.sequence


def test_the_same_seed_gives_the_same_states() -> None:
    """Two runs of one seed hold equal books after each step; another seed does not."""

    def run(seed: int) -> list[object]:
        market = Market(seed)
        made = instrument(LISTINGS[2], market, seed)
        states: list[object] = []
        for _ in range(100):
            market.step()
            states.append((list(made.step(1.0)), made.book.sequence, made.book.bids.top(50), made.book.asks.top(50)))
        return states

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_trade_ids_have_no_holes() -> None:
    """All trades since the start, in order, and none before the first."""
    market = Market(2)
    made = instrument(LISTINGS[0], market, 2)
    assert list(made.trade_ids) == []
    trades = [trade.id for _ in range(200) for trade in made.step(5.0) if trade is not None]
    assert list(made.trade_ids) == trades
    assert len(trades) > 5


@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_no_arbitrage_that_nobody_planted(rate: float) -> None:
    """Quotes of one symbol never pay by 6 bps gross, even where one is half a second old (two taker fees: 10)."""
    market = Market(5)
    made = {(listing.symbol, listing.feed): instrument(listing, market, 5) for listing in LISTINGS}
    symbols = {symbol for symbol, _ in made}
    worst = -99.0
    past: list[dict[tuple[str, str], tuple[float, float]]] = []
    for step in range(12_000):
        market.step()
        for each in made.values():
            list(each.step(rate))
        if step % 10:
            continue
        past = [*past[-5:], {key: tops(each) for key, each in made.items()}]
        for symbol in symbols:
            feeds = [feed for name, feed in made if name == symbol]
            for buy, sell in ((a, b) for a in feeds for b in feeds if a != b):
                for old, new in ((past[0], past[-1]), (past[-1], past[0]), (past[-1], past[-1])):
                    worst = max(worst, (new[symbol, sell][0] / old[symbol, buy][1] - 1) * 10_000)
    assert worst < 6.0


def test_prices_and_amounts_are_written_as_the_exchanges_do() -> None:
    """Binance keeps its zeros, OKX drops them; what is written fits tick and lot."""
    by_key = {(listing.feed, listing.symbol): listing for listing in LISTINGS}
    spot, usdm, okx = (
        by_key[key]
        for key in (("binance-spot", "BTC-USDT"), ("binance-usdm", "BTC-USDT-PERP"), ("okx", "BTC-USDT-PERP"))
    )
    assert (spot.price_text(8675001), spot.amount_text(150)) == ("86750.01000000", "0.00150000")
    assert (usdm.price_text(867510), usdm.amount_text(3200)) == ("86751.00", "3.200")
    assert (okx.price_text(867500), okx.amount_text(14000), okx.amount_text(1)) == ("86750", "140", "0.01")


def test_amounts_of_inverse_contracts() -> None:
    """Contracts stand for dollars: 8 of 100 at 80,000 are 0.01 bitcoin, and a level holds about what others do."""
    by_key = {(listing.feed, listing.symbol): listing for listing in LISTINGS}
    okx, deribit = by_key["okx", "BTC-USD-PERP"], by_key["deribit", "BTC-USD-PERP"]
    assert okx.base_amount(8, 800_000) == deribit.base_amount(80, 160_000) == Decimal("0.01")
    assert okx.base_amount(1, 300_000) == Decimal("0.003333333333333333")
    for listing in (okx, deribit):
        ticks = round(START["BTC"] / float(listing.tick))
        assert float(listing.base_amount(round(listing.typical_lots), ticks)) == pytest.approx(
            listing.typical, rel=0.01
        )


@pytest.mark.parametrize("wrong", [{"feeds": ["mtgox"]}, {"levels": 3}, {"rate": -1}, {"rate": 0.01}])
def test_unusable_arguments_are_told(wrong: dict[str, object]) -> None:
    """An unknown feed, too few levels or a rate at which books would drift apart is an error."""
    with pytest.raises(StackError):
        Simulators(**wrong)  # type: ignore[arg-type]
