"""Canonical symbols, and their mapping to and from the feeds' names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SymbolError
from schemas.feeds import FEEDS, feed_of
from schemas.instruments import assumed_instrument
from schemas.symbols import Symbol, from_exchange, parse_symbol, to_exchange

bases = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C", "P")), min_size=1, max_size=8).filter(
    lambda text: not set(text) & set("-:_/.\t") and text == text.upper()
)
quotes = st.sampled_from(["USDT", "USDC", "BTC", "EUR", "TRY", "FDUSD"])
expiries = st.dates().map(lambda day: day.strftime("%y%m%d"))
spots = st.builds(Symbol, bases, quotes)
perps = st.builds(Symbol, bases, quotes, st.just("perp"))
futures = st.builds(Symbol, bases, quotes, st.just("future"), expiries)
options = st.builds(
    Symbol, bases, quotes, st.just("option"), expiries, st.integers(1, 10**6).map(str), st.sampled_from(["C", "P"])
)


@given(spots | perps | futures | options)
def test_text_round_trip(symbol: Symbol) -> None:
    """A symbol written and read is the same symbol."""
    assert parse_symbol(str(symbol)) == symbol


@pytest.mark.parametrize("feed", list(FEEDS))
@given(spots | perps | futures | options)
def test_exchange_round_trip(feed: str, symbol: Symbol) -> None:
    """Each feed's own name of a symbol leads back to it; kinds that a feed lacks are refused."""
    if symbol.kind not in FEEDS[feed].kinds:
        with pytest.raises(SymbolError):
            to_exchange(feed, str(symbol))
        return
    name = to_exchange(feed, str(symbol))
    if feed.startswith("binance"):  # without a separator only known quotes split; a base may end like one
        assert to_exchange(feed, from_exchange(feed, name)) == name
    else:
        assert from_exchange(feed, name) == str(symbol)


@pytest.mark.parametrize(
    ("feed", "symbol", "name"),
    [
        ("binance-spot", "BTC-USDT", "BTCUSDT"),
        ("binance-spot", "1INCH-FDUSD", "1INCHFDUSD"),
        ("binance-usdm", "BTC-USDT-PERP", "BTCUSDT"),
        ("binance-usdm", "BTC-USDT-261225", "BTCUSDT_261225"),
        ("okx", "BTC-USDT", "BTC-USDT"),
        ("okx", "BTC-USDT-PERP", "BTC-USDT-SWAP"),
        ("okx", "BTC-USD-PERP", "BTC-USD-SWAP"),
        ("okx", "BTC-USD.UM-PERP", "BTC-USD_UM-SWAP"),
        ("okx", "BTC-USD-261225-76000-C", "BTC-USD-261225-76000-C"),
    ],
)
def test_known_names(feed: str, symbol: str, name: str) -> None:
    """The documented spellings, both ways."""
    assert to_exchange(feed, symbol) == name
    assert from_exchange(feed, name) == symbol


@pytest.mark.parametrize("text", ["", "BTC", "BTC-USDT-", "BTC-USDT-SWAP", "BTC-USDT-261225-1-X", "BTC-US DT", "A:B-C"])
def test_no_symbol(text: str) -> None:
    """What is no symbol is told which forms there are."""
    with pytest.raises(SymbolError, match="BTC-USDT"):
        parse_symbol(text)


def test_feeds() -> None:
    """An exchange's symbol leads to the feed that carries it, and an assumed instrument knows its kind."""
    assert feed_of("binance", "BTC-USDT-PERP").name == "binance-usdm"
    assert feed_of("okx", "BTC-USD-261225-76000-C").name == "okx"
    with pytest.raises(SymbolError, match="no feed"):
        feed_of("binance", "BTC-USD-261225-76000-C")
    assert assumed_instrument("okx", "okx", "BTC-USD-PERP").inverse
    assert not assumed_instrument("okx", "okx", "BTC-USDT-PERP").inverse
