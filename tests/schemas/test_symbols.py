"""Canonical symbols are parsed, and converted to and from the feeds' names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SymbolError
from schemas.feeds import FEEDS, feed_of, from_exchange, to_exchange
from schemas.instruments import assumed_instrument
from schemas.symbols import Symbol, parse_symbol

bases = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C", "P")), min_size=1, max_size=8).filter(
    lambda text: not set(text) & set("-:_/.\t") and text == text.lower().upper()
)
quotes = st.sampled_from(["USD", "USDT", "USDC", "BTC", "EUR", "TRY", "FDUSD"])
strikes = st.decimals("0.0001", 10**6, places=4).map(lambda strike: f"{strike.normalize():f}")
expiries = st.dates().map(lambda day: day.strftime("%y%m%d"))
spots = st.builds(Symbol, bases, quotes)
perps = st.builds(Symbol, bases, quotes, st.just("perp"))
futures = st.builds(Symbol, bases, quotes, st.just("future"), expiries)
options = st.builds(Symbol, bases, quotes, st.just("option"), expiries, strikes, st.sampled_from(["C", "P"]))


@given(spots | perps | futures | options)
def test_text_round_trip(symbol: Symbol) -> None:
    """A symbol that is written and parsed is the same symbol."""
    assert parse_symbol(str(symbol)) == symbol


@pytest.mark.parametrize("feed", list(FEEDS))
@given(spots | perps | futures | options)
def test_exchange_round_trip(feed: str, symbol: Symbol) -> None:
    """Each feed's own name for a symbol leads back to the symbol. Kinds that a feed lacks are rejected."""
    if symbol.kind not in FEEDS[feed].kinds or (FEEDS[feed].inverse and not symbol.is_inverse):
        with pytest.raises(SymbolError):
            to_exchange(feed, str(symbol))
        return
    name = to_exchange(feed, str(symbol))
    try:
        assert from_exchange(feed, name) == str(symbol)
    except SymbolError:  # without a separator, some names are ambiguous
        assert feed.startswith("binance") or feed == "htx-spot"
        assert symbol.quote in ("USD", "EUR")
    except AssertionError:  # a base that ends like the beginning of another quote
        assert to_exchange(feed, from_exchange(feed, name)) == name
        assert symbol.quote == "USD"


@pytest.mark.parametrize(
    ("feed", "symbol", "name"),
    [
        ("binance-spot", "BTC-USDT", "BTCUSDT"),
        ("binance-spot", "1INCH-FDUSD", "1INCHFDUSD"),
        ("binance-usdm", "BTC-USDT-PERP", "BTCUSDT"),
        ("binance-coinm", "BTC-USD-PERP", "BTCUSD_PERP"),
        ("binance-coinm", "ETH-USD-261225", "ETHUSD_261225"),
        ("binance-usdm", "BTC-USDT-261225", "BTCUSDT_261225"),
        ("okx", "BTC-USDT", "BTC-USDT"),
        ("okx", "BTC-USDT-PERP", "BTC-USDT-SWAP"),
        ("okx", "BTC-USD-PERP", "BTC-USD-SWAP"),
        ("okx", "BTC-USD.UM-PERP", "BTC-USD_UM-SWAP"),
        ("okx", "BTC-USD.UM.XPERP-310404", "BTC-USD_UM_XPERP-310404"),
        ("okx", "BTC-USD-261225-76000-C", "BTC-USD-261225-76000-C"),
        ("htx-spot", "BTC-USDT", "btcusdt"),
        ("htx-spot", "HT-USDT", "htusdt"),
        ("htx-linear", "BTC-USDT-PERP", "BTC-USDT"),
        ("htx-linear", "BTC-USDT-261225", "BTC-USDT-261225"),
        ("htx-linear", "ATOM-USD-PERP", "ATOM-USD"),
        ("deribit", "BTC-USDC", "BTC_USDC"),
        ("deribit", "BTC-USD", "BTC_USD"),
        ("deribit", "BTC-USD-PERP", "BTC-PERPETUAL"),
        ("deribit", "1000PEPE-USDC-PERP", "1000PEPE_USDC-PERPETUAL"),
        ("deribit", "BTC-USD-260925", "BTC-25SEP26"),
        ("deribit", "BTC-USD-260905", "BTC-5SEP26"),
        ("deribit", "BTC-USDC-260925", "BTC_USDC-25SEP26"),
        ("deribit", "BTC-USD-260925-90000-C", "BTC-25SEP26-90000-C"),
        ("deribit", "XRP-USDC-260925-1.02-P", "XRP_USDC-25SEP26-1d02-P"),
    ],
)
def test_known_names(feed: str, symbol: str, name: str) -> None:
    """The documented names are converted in both directions."""
    assert to_exchange(feed, symbol) == name
    assert from_exchange(feed, name) == symbol


@pytest.mark.parametrize("text", ["", "BTC", "BTC-USDT-", "BTC-USDT-SWAP", "BTC-USDT-261225-1-X", "BTC-US DT", "A:B-C"])
def test_malformed_symbols(text: str) -> None:
    """The error for a malformed symbol lists the possible forms."""
    with pytest.raises(SymbolError, match="BTC-USDT"):
        parse_symbol(text)


@pytest.mark.parametrize(
    ("feed", "name"),
    [
        ("okx", "BTC-USDT-PERP"), ("okx", "BTC-USD.UM-SWAP"), ("okx", "BTC-USD_UM_XPERP"), ("okx", "BTC-USD_-SWAP"),
        ("okx", "BTC-USDT_BTC-USDT-SWAP"), ("okx", "BTC-USDT-SWAP_BTC-USDT-261225"), ("okx", "BTC-USDT-" + "2" * 10**6),
        ("okx", "BTC\x00-USDT"), ("okx", "BTC-ABOVE-DAILY-260224-1600-70000"), ("okx", "BTC-USDT-２６１２２５"),
        ("htx-linear", "BTC-USDT-PERP"), ("deribit", "BTC_USD-PERPETUAL"), ("deribit", "BTC-25SEP26-1.5-C"),
        ("deribit", "BTC"), ("deribit", "BTC-05SEP26"), ("deribit", "BTC-5SEPT26"), ("deribit", "BTC-PERP"),
        ("deribit", "BTC-FS-25SEP26_PERP"), ("deribit", "BTC-CS-29APR22-39300_39600"),
        ("binance-usdm", "BTCUSD_PERP"), ("binance-usdm", "BTCUSDT_PERPETUAL"),
        ("htx-linear", "BTC_CQ"), ("htx-linear", "BTC-USDT-CQ"), ("htx-linear", "BTC-USDT-210326-C-32000"),
    ],
)  # fmt: skip
def test_names_without_a_symbol(feed: str, name: str) -> None:
    """Combinations, rolling aliases, and names of another market or instrument have no canonical symbol."""
    with pytest.raises(SymbolError) as caught:
        from_exchange(feed, name)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "symbol",
    [
        "BTC-USDT", "ETH-BTC", "BNB-USDT", "USDC-USDT", "XUSD-USDT", "BTC-XUSD", "BTC-TUSD", "BTC-BUSD", "BTC-FDUSD",
        "TUSDB-TUSD", "USDT-TRY", "EURI-USDT", "BTC-EURI", "BTC-AEUR", "ADA-EUR", "IOTA-EUR", "EUR-AEUR", "BTC-BIDR",
        "ETH-BIDR", "BNB-BIDR", "SHIB-IDR", "USDT-BIDR", "USDT-IDRT", "BTC-IDRT", "BTC-BKRW", "BTC-NGN", "BTC-VAI",
        "BTC-UST", "BTC-USDS", "BTC-USDP", "BTC-PAX", "PAX-USDT", "PAXG-BTC", "BTC-ARS", "BTC-MXN", "BTC-USD1",
        "USDE-USDT", "1000SATS-FDUSD", "NEWCOIN-TUSD", "NEWCOIN-BUSD", "币安人生-USDT", "WBTC-BTC", "BTCB-BTC",
        "BTC-USD", "ETH-USD", "BNB-USD", "SHIB-USD", "DOT-USD", "DOGE-DOT",
    ],
)  # fmt: skip
def test_pairs_without_a_separator(symbol: str) -> None:
    """Binance's present and past pairs are split by their quotes or, if two fit, by known bases."""
    assert from_exchange("binance-spot", symbol.replace("-", "").lower()) == symbol
    assert from_exchange("binance-usdm", symbol.replace("-", "")) == f"{symbol}-PERP"


@pytest.mark.parametrize(
    ("feed", "name", "reason"),
    [
        ("binance-spot", "GALAEUR", "definition: GAL-AEUR or GALA-EUR"),
        ("binance-spot", "ARBUSD", "definition: AR-BUSD or ARB-USD"),
        ("binance-spot", "NEWCOINAEUR", "definition: NEWCOIN-AEUR or NEWCOINA-EUR"),
        ("binance-spot", "NEWCOINUSD", "unknown quote currency"),
        ("binance-spot", "BTCXYZ", "unknown quote currency"),
        ("binance-spot", "USDT", "unknown quote currency"),
        ("htx-spot", "btcxyz", "unknown quote currency"),
    ],
)
def test_ambiguous_and_unknown_pairs(feed: str, name: str, reason: str) -> None:
    """Ambiguous or unknown names are rejected: a wrong pair is worse than none."""
    with pytest.raises(SymbolError, match=reason):
        from_exchange(feed, name)


@pytest.mark.parametrize(
    "symbol", ["BTC-USDT", "HT-USDT", "ETH-USD", "BCH-HUSD", "BTC-HUSD", "USDT-HUSD", "NFT-HT", "SUN-USDD"]
)
def test_htx_pairs(symbol: str) -> None:
    """HTX's pairs are split by its own quotes."""
    assert from_exchange("htx-spot", symbol.replace("-", "").lower()) == symbol


def test_invalid_date() -> None:
    """Six digits that are not a date have no name on Deribit."""
    with pytest.raises(SymbolError, match="YYMMDD"):
        to_exchange("deribit", "BTC-USD-261325")


def test_feeds() -> None:
    """A symbol leads to the exchange's feed for it, and an assumed instrument has the right kind."""
    assert feed_of("binance", "BTC-USDT-PERP").name == "binance-usdm"
    assert feed_of("okx", "BTC-USD-261225-76000-C").name == "okx"
    assert feed_of("deribit", "BTC-USD-261225-76000-C").name == "deribit"
    with pytest.raises(SymbolError, match="no feed"):
        feed_of("binance", "BTC-USD-261225-76000-C")
    assert assumed_instrument("okx", "okx", "BTC-USD-PERP").inverse
    assert not assumed_instrument("okx", "okx", "BTC-USDT-PERP").inverse
    assert not assumed_instrument("deribit", "deribit", "BTC-USD-261225-76000-C").inverse
