"""The trades of the past: they have no holes, agree with the candles, and go on with those since the start."""

import pytest

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import MINUTE_MS
from marketprism.simulator.market.listings import listings_of
from marketprism.simulator.market.prices import Market

START = 1_790_000_000_500  # ms


def made(feed: str = "binance-spot", seed: int = 1) -> SimulatedInstrument:
    return SimulatedInstrument(listings_of(feed)[0], Market(seed), seed, 20, 0, 1, START)


@pytest.mark.parametrize("feed", ["binance-spot", "deribit", "htx-linear"])
def test_trades_agree_with_candles(feed: str) -> None:
    """In each minute the number of trades and what was traded and bought are those of its candle."""
    instrument = made(feed)
    for minute in range(START // MINUTE_MS - 2000, START // MINUTE_MS - 1990):
        start = minute * MINUTE_MS
        candle = instrument.candles.between(start, start + MINUTE_MS, START)
        first, stop = instrument.tape.first_at(start), instrument.tape.first_at(start + MINUTE_MS)
        trades = instrument.tape.trades(first, stop - first)
        assert [trade.number for trade in trades] == list(range(first, stop))
        assert all(start <= trade.at_ms < start + MINUTE_MS and trade.lots > 0 for trade in trades)
        assert len(trades) == candle.trades > 10
        lot = instrument.listing.lot
        assert sum(trade.lots for trade in trades) * lot == candle.volume
        assert sum(trade.lots for trade in trades if trade.side == "buy") * lot == candle.taker_buy_volume
        prices = [instrument.listing.price(trade.price) for trade in trades]
        assert candle.low <= min(prices) <= max(prices) <= candle.high


def test_the_past_leads_to_the_start() -> None:
    """Ids and times only grow, from the past to the trades since the start; the same seed has the same past."""
    instrument = made()
    for number, trade_id in enumerate((instrument.trade_ids.stop, instrument.trade_ids.stop + 1)):
        instrument.tape.on_trade(trade_id, 100, 5, "buy", START + 10 * number)
    latest = instrument.tape.latest(50)
    assert [each.id for each in latest] == list(range(latest[-1].id - 49, latest[-1].id + 1))
    assert sorted(each.at_ms for each in latest) == [each.at_ms for each in latest]
    assert [each.at_ms for each in latest[-2:]] == [START, START + 10]
    assert instrument.tape.trades(latest[10].number, 5) == latest[10:15]
    assert instrument.tape.trades(latest[-1].number, 5) == latest[-1:]
    assert instrument.tape.trades(latest[-1].number + 1, 5) == []
    assert instrument.tape.first_at(START + 5) == latest[-1].number
    assert instrument.tape.first_at(START + 11) == latest[-1].number + 1
    assert made().tape.trades(latest[0].number, 48) == latest[:48]
    assert made(seed=2).tape.latest(1)[0].id != made().tape.latest(1)[0].id
