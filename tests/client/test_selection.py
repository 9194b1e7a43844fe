"""Select instruments by exchange and symbol."""

import re

import pytest

from marketprism.client.selection import Instruments
from schemas.errors import SymbolError
from schemas.keys import partition_of

KEY = "exchange:symbol"


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("BTCUSDT", "did you mean BTC-USDT?"),
        ("btc/usdt", "did you mean BTC-USDT?"),
        ("BTC_USDT", "did you mean BTC-USDT?"),
        ("BTC-USDT-SWAP", "did you mean BTC-USDT-PERP?"),
        ("BTC-USDT-2026", "is not a symbol: write BTC-USDT (spot)"),
        ("", "is not a symbol"),
    ],
)
def test_unusable_symbols(symbol: str, message: str) -> None:
    """The error names the symbol that is meant, if that is clear."""
    with pytest.raises(SymbolError, match=re.escape(message)):
        Instruments(KEY, [symbol], [])


@pytest.mark.parametrize(
    ("exchange", "message"),
    [
        ("binnance", "unknown exchange 'binnance': did you mean binance?"),
        ("binance-usdm", "'binance-usdm' is a feed: did you mean the exchange 'binance'?"),
        ("mtgox", "unknown exchange 'mtgox': known are binance, deribit, htx, okx"),
    ],
)
def test_unusable_exchanges(exchange: str, message: str) -> None:
    """The error names the exchange that is meant, or all."""
    with pytest.raises(SymbolError, match=re.escape(message)):
        Instruments(KEY, [], [exchange])


def test_partitions() -> None:
    """Named instruments are in their keys' partitions, patterns may be in all."""
    assert Instruments(KEY, ["BTC-USDT"], ["okx"]).partitions(64) == {partition_of(b"okx:BTC-USDT", 64)}
    assert len(Instruments(KEY, ["BTC-USDT", "ETH-USDT"], ["okx", "htx"]).partitions(1024)) == 4
    assert len(Instruments(KEY, ["BTC-USDT"], []).partitions(1024)) == 4
    assert len(Instruments(KEY, ["BTC-USDT", "ETH-*"], ["okx"]).partitions(64)) == 64
    assert Instruments("symbol", ["BTC-USDT"], []).partitions(64) == {partition_of(b"BTC-USDT", 64)}


def test_currencies() -> None:
    """Figures of a whole currency are selected by its name."""
    chosen = Instruments("exchange:symbol, or exchange:currency", ["btc"], ["okx"])
    assert b"okx:BTC" in chosen
    assert b"okx:BTC-USDT" not in chosen


def test_unknown_symbols() -> None:
    """A symbol that nobody ingests is an error once something of the exchange is known."""
    keys = ["okx:BTC-USDT", "okx:ETH-USDT", "htx:BTC-USDT-PERP"]
    Instruments(KEY, ["BTC-USDT-PERP"], []).check_known(keys)
    Instruments(KEY, ["BTC-USDT-PERP"], ["deribit"]).check_known(keys)
    Instruments(KEY, ["SOL-*"], ["okx"]).check_known(keys)
    with pytest.raises(SymbolError, match=r"nobody ingests ETH-USDC from okx: did you mean ETH-USDT"):
        Instruments(KEY, ["BTC-USDT", "ETH-USDC"], ["okx"]).check_known(keys)
    with pytest.raises(SymbolError, match=r"from htx or okx: there is BTC-USDT, BTC-USDT-PERP, ETH-USDT"):
        Instruments(KEY, ["X-Y"], []).check_known(keys)
