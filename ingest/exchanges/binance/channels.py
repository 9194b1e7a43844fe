"""The streams of Binance's feeds, by our channels (docs/protocols/binance.md §1.4, §2.3).

A stream is `<symbol>@<name>`, that of a continuous contract `<pair>_<name>`.
"""

from collections.abc import Mapping

from ingest.exchanges.base import ChannelRow, Variant
from schemas.channels import CONTINUOUS, candles_of

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
"""The intervals of all feeds, which Binance calls as we do. Spot has `1s` besides."""

CONTINUOUS_KLINE = "continuousKline_"


def pair_of(symbol: str) -> str:
    """Return the pair of a contract: `BTCUSD_PERP` → `BTCUSD`. A perpetual of USD-M is called like its pair."""
    return symbol.partition("_")[0]


def stream_of(symbol: str, name: str) -> str:
    """Return a stream's name: `btcusdt@trade`, `btcusdt_perpetual@continuousKline_1m`."""
    return f"{symbol.lower()}{'_' if CONTINUOUS_KLINE in name else '@'}{name}"


def _trading(path: str, market: str) -> dict[str, ChannelRow]:
    """Return the rows of trades, books and tickers. `market`: the path of what is not the order book's own data."""
    partial_books = tuple(Variant(f"depth{levels}@100ms", path, whole_books=True) for levels in (20, 10, 5))
    return {
        "trades": ChannelRow("trade", path, variants=(Variant("aggTrade", market),)),
        "books": ChannelRow("depth@100ms", path, variants=partial_books),
        "quotes": ChannelRow("bookTicker", path),
        "tickers": ChannelRow("ticker", market),
    }


def _candles(path: str, *intervals: str) -> dict[str, ChannelRow]:
    return {candles_of(each): ChannelRow(f"kline_{each}", path, kinds=("candles",)) for each in intervals}


def _futures(path: str) -> dict[str, ChannelRow]:
    """Return the rows that only futures have."""
    return {
        "mark_prices": ChannelRow("markPrice@1s", path, kinds=("funding", "mark_prices")),
        "liquidations": ChannelRow("forceOrder", path),
        **_candles(path, *INTERVALS),
        **{
            candles_of(each, contract): ChannelRow(
                f"{contract}@{CONTINUOUS_KLINE}{each}", path, kinds=("candles",), of=("perp",), subject=pair_of
            )
            for contract in CONTINUOUS
            for each in INTERVALS
        },
    }


_STREAM, _PUBLIC, _MARKET = "/stream", "/public/stream", "/market/stream"

SPOT: Mapping[str, ChannelRow] = _trading(_STREAM, _STREAM) | _candles(_STREAM, "1s", *INTERVALS)
# A stream that is requested on the wrong path is acknowledged, but stays silent.
USDM: Mapping[str, ChannelRow] = _trading(_PUBLIC, _MARKET) | _futures(_MARKET)
COINM: Mapping[str, ChannelRow] = _trading(_STREAM, _STREAM) | _futures(_STREAM)
