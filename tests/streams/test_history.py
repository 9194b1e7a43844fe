"""Answers about the past become the events that are missing, and touch nothing that is followed live."""

from typing import Any

import orjson
import pytest

from schemas.instruments import Instrument, instrument_of_key
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import MS, binance, line, marker, tick
from tests.streams.helpers import Found, bodies, run

HOUR = MS // 3_600_000 * 3_600_000  # ms: a full hour before the tests' begin
MINUTE = 60_000
SPOT, SWAP = (instrument_of_key(f"binance:{symbol}") for symbol in ("BTC-USDT", "BTC-USDT-PERP"))
KLINES = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
TRADES = "/api/v3/historicalTrades?symbol=BTCUSDT"


def history(
    instrument: Instrument, path: str, body: Any, begin: int, end: int, known: list[str] | None = None
) -> bytes:
    """Return a raw line with an answer; `begin` and `end` in ms."""
    fields = {"channel": "any", "path": path, "begin": begin * 1000, "end": end * 1000, "body": body}
    more = {"instrument": instrument.model_dump(), "known": known or []}
    return marker(instrument.key, "history", 500, **fields, **more)


def of(instrument: Instrument, path: str, body: Any, topic: str, minutes: int = 10) -> list[dict[str, Any]]:
    """Return the events of an answer about the minutes from the hour on."""
    found = run(instrument.exchange, history(instrument, path, body, HOUR, HOUR + minutes * MINUTE))
    assert bodies(found, "dead_letters") == []
    return bodies(found, topic)


def kline(minute: int, **changes: str) -> list[Any]:
    start = HOUR + minute * MINUTE
    row = {"o": "10", "h": "12", "l": "9", "c": "11", "v": "3"} | changes
    return [start, *row.values(), start + MINUTE - 1, "33", 7, "2", "22", "0"]


def trade(number: int, at: int) -> dict[str, Any]:
    fields = {"id": number, "price": "10.5", "qty": "2", "quoteQty": "21", "time": at}
    return fields | {"isBuyerMaker": True, "isBestMatch": True}


def test_candles_of_the_range() -> None:
    """The candles of the range that are not known are published as closed, oldest first; the others are left out."""
    rows = [kline(minute) for minute in (-1, 0, 1, 2, 3)]
    known = [str((HOUR + MINUTE) * 1000)]
    found = run("binance", history(SPOT, KLINES, rows, HOUR, HOUR + 3 * MINUTE, known))
    assert [event["start"] for event in bodies(found, "market.candles")] == [
        (HOUR + minute * MINUTE) * 1000 for minute in (0, 2)
    ]
    first = bodies(found, "market.candles")[0]
    assert first == {
        "source": first["source"],
        "exchange": "binance",
        "symbol": "BTC-USDT",
        "timestamp": (HOUR + MINUTE) * 1000,
        "local_timestamp": (MS + 500) * 1000,
        "origin": "exchange",
        "contract": "",
        "interval": "1m",
        "start": HOUR * 1000,
        "end": (HOUR + MINUTE) * 1000,
        "open": "10",
        "high": "12",
        "low": "9",
        "close": "11",
        "volume": "3",
        "quote_volume": "33",
        "trades": 7,
        "taker_buy_volume": "2",
        "taker_buy_quote_volume": "22",
        "closed": True,
        "complete": True,
    }


def test_trades_of_the_range() -> None:
    """Each trade is published once, even if the answer repeats it; known ones and those outside are left out."""
    rows = [trade(number, HOUR + number) for number in (5, 4, 6, 6, 9)]
    found = run("binance", history(SPOT, TRADES, rows, HOUR + 4, HOUR + 9, ["5"]))
    assert [(event["id"], event["timestamp"]) for event in bodies(found, "market.trades")] == [
        ("4", (HOUR + 4) * 1000),
        ("6", (HOUR + 6) * 1000),
    ]
    assert bodies(found, "market.trades")[0]["side"] == "sell"


def test_live_state_is_untouched() -> None:
    """An answer neither creates an instrument nor changes one: what follows is as if it had not come."""
    old = history(SPOT, TRADES, [trade(1, HOUR)], HOUR, HOUR + 1)
    frames = [line(SPOT.key, binance.trade(t=number), number) for number in (100, 101)]
    end = tick("binance", 20_000)
    undisturbed = run("binance", *frames, end)
    for place in range(3):
        disturbed = run("binance", *frames[:place], old, *frames[place:], end)
        assert _without_sources(disturbed, "1") == _without_sources(undisturbed, "1")
    processor = RawProcessor("binance", 0, load_settings())
    processor.process(0, old)
    assert not processor.entries


def _without_sources(found: Found, except_trade: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (topic, {name: value for name, value in body.items() if name != "source"})
        for topic, body in found
        if not (topic == "market.trades" and body["id"] == except_trade)
    ]


def test_series_and_rates() -> None:
    """What is polled can be asked for again: its rows are published by their times."""
    at = [HOUR - 8 * 3_600_000, HOUR]
    rows = [{"symbol": "BTCUSDT", "fundingTime": each, "fundingRate": "-0.0001", "markPrice": "50000"} for each in at]
    found = run(
        "binance", history(SWAP, "/fapi/v1/fundingRate?symbol=BTCUSDT", rows, at[0], HOUR + 1, [str(HOUR * 1000)])
    )
    [event] = bodies(found, "market.funding")
    assert (event["type"], event["rate"], event["timestamp"]) == ("settled", "-0.0001", at[0] * 1000)


def test_okx() -> None:
    """OKX's rows come newest first; the running candle is marked as such."""
    swap = instrument_of_key("okx:BTC-USDT-PERP").model_copy(update={"contract_size": "0.01"})
    rows = [
        [str(HOUR + MINUTE * minute), "10", "12", "9", "11", "300", "3", "33", closed]
        for minute, closed in ((2, "0"), (1, "1"), (0, "1"))
    ]
    path = "/api/v5/market/history-candles?instId=BTC-USDT-SWAP&bar=1m"
    candles = of(swap, path, {"code": "0", "msg": "", "data": rows}, "market.candles")
    assert [(each["start"], each["volume"], each["quote_volume"]) for each in candles] == [
        (HOUR * 1000, "3", "33"),
        ((HOUR + MINUTE) * 1000, "3", "33"),
    ]
    fills = [
        {
            "instId": "BTC-USDT-SWAP",
            "tradeId": str(number),
            "px": "10",
            "sz": "5",
            "side": "buy",
            "ts": str(HOUR + number),
        }
        for number in (8, 7)
    ]
    path = "/api/v5/market/history-trades?instId=BTC-USDT-SWAP"
    trades = of(swap, path, {"code": "0", "msg": "", "data": fills}, "market.trades")
    assert [(each["id"], each["amount"], each["exchange_amount"]) for each in trades] == [
        ("7", "0.05", "5"),
        ("8", "0.05", "5"),
    ]


@pytest.mark.parametrize(
    ("symbol", "name", "path", "trades"),
    [
        ("BTC-USDT", "symbol=btcusdt", "/market/history/kline", "/market/history/trade"),
        (
            "BTC-USDT-PERP",
            "contract_code=BTC-USDT",
            "/linear-swap-ex/market/history/kline",
            "/linear-swap-ex/market/history/trade",
        ),
    ],
)
def test_htx(symbol: str, name: str, path: str, trades: str) -> None:
    """HTX's candles have their start in seconds; trades come in batches."""
    instrument = instrument_of_key(f"htx:{symbol}").model_copy(update={"contract_size": "1"})
    row = {
        "id": HOUR // 1000,
        "open": 10,
        "close": 11.5,
        "low": 9,
        "high": 12,
        "amount": 3.5,
        "vol": 40,
        "trade_turnover": 40,
        "count": 7,
    }
    [candle] = of(instrument, f"{path}?{name}&period=1min", {"status": "ok", "data": [row]}, "market.candles")
    assert (candle["start"], candle["close"], candle["volume"], candle["trades"]) == (HOUR * 1000, "11.5", "3.5", 7)
    fill = {"ts": HOUR + 5, "price": 10.5, "amount": 2, "direction": "sell"}
    numbered = fill | ({"trade-id": 77, "id": 1e28} if "PERP" not in symbol else {"id": 77})
    [traded] = of(
        instrument, f"{trades}?{name}", {"status": "ok", "data": [{"id": 1, "data": [numbered]}]}, "market.trades"
    )
    assert (traded["id"], traded["price"], traded["side"]) == ("77", "10.5", "sell")


def test_deribit() -> None:
    """Deribit's candles come as columns; a range without any is no error."""
    perpetual = instrument_of_key("deribit:BTC-USD-PERP")
    path = "/api/v2/public/get_tradingview_chart_data?instrument_name=BTC-PERPETUAL&resolution=1"
    columns = {"status": "ok", "ticks": [HOUR, HOUR + MINUTE], "open": [1.5, 2], "high": [3, 3], "low": [1, 1]}
    result = columns | {"close": [2, 2.5], "volume": [0.5, 0], "cost": [10, 0]}
    candles = of(perpetual, path, {"result": result}, "market.candles")
    assert [(each["open"], each["close"], each["volume"]) for each in candles] == [
        ("1.5", "2", "0.5"),
        ("2", "2.5", "0"),
    ]
    assert of(perpetual, path, {"result": {"status": "no_data"}}, "market.candles") == []
    row = {"trade_seq": 3, "trade_id": "t-3", "timestamp": HOUR, "price": 50000.5, "instrument_name": "BTC-PERPETUAL"}
    answer = {"result": {"trades": [row | {"direction": "buy", "amount": 100, "liquidation": "T"}], "has_more": False}}
    path = "/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL"
    [traded] = of(perpetual, path, answer, "market.trades")
    assert (traded["id"], traded["kind"], traded["exchange_amount"]) == ("t-3", "liquidation_taker", "100")
    assert len(of(perpetual, path, answer, "market.liquidations")) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": {"code": -1121}}, "not a list of rows"),
        ({"path": "/api/v3/unknown"}, "unknown path"),
        ({"path": KLINES.replace("BTCUSDT", "ETHUSDT")}, "frame for 'ETHUSDT'"),
        ({"path": KLINES.replace("1m", "7m"), "body": [kline(0)]}, "unknown interval"),
        ({"body": [[1, 2]]}, "list of the wrong length"),
        ({"instrument": {}}, "malformed marker"),
        ({"instrument": SWAP.model_dump()}, "history of binance:BTC-USDT-PERP received as binance:BTC-USDT"),
        ({"begin": "x"}, "malformed marker"),
    ],
)
def test_malformed(change: dict[str, Any], reason: str) -> None:
    """An answer that cannot be read is one dead letter with its reason."""
    fields = {"channel": "candles_1m", "path": KLINES, "begin": HOUR * 1000, "end": HOUR * 1000 + 1, "body": []}
    text = marker(SPOT.key, "history", 0, **fields | {"instrument": SPOT.model_dump()} | change)
    for records in ([text], [line(SPOT.key, binance.trade(t=1)), text]):
        [letter] = bodies(run("binance", *records), "dead_letters")
        assert reason in letter["reason"]


def test_a_malformed_row_costs_only_itself() -> None:
    """The other rows of its answer are published."""
    rows = [kline(0), kline(1, c="x"), kline(2)]
    found = run("binance", history(SPOT, KLINES, rows, HOUR, HOUR + 3 * MINUTE))
    assert len(bodies(found, "market.candles")) == 2
    [letter] = bodies(found, "dead_letters")
    assert letter["reason"].startswith("row 2 of 3")
    assert orjson.loads(letter["frame"])[4] == "x"


@pytest.mark.parametrize(
    ("key", "path", "body", "fields"),
    [
        (
            "binance:BTC-USDT-PERP",
            "/futures/data/openInterestHist?symbol=BTCUSDT&period=5m",
            [{"symbol": "BTCUSDT", "sumOpenInterest": "20.5", "sumOpenInterestValue": "1025", "timestamp": HOUR}],
            {"contracts": None, "amount": "20.5", "value": "1025"},
        ),
        (
            "binance:BTC-USD-PERP",
            "/futures/data/openInterestHist?pair=BTCUSD&contractType=PERPETUAL&period=5m",
            [{"pair": "BTCUSD", "sumOpenInterest": "500", "sumOpenInterestValue": "1.5", "timestamp": HOUR}],
            {"contracts": "500", "amount": "1.5", "value": None},
        ),
        (
            "okx:BTC-USDT-PERP",
            "/api/v5/rubik/stat/contracts/open-interest-history?instId=BTC-USDT-SWAP&period=5m",
            {"code": "0", "msg": "", "data": [[str(HOUR), "500", "5", "250000"]]},
            {"contracts": "500", "amount": "5", "value": None},  # in dollars, which are not the quote currency
        ),
        (
            "htx:BTC-USDT-PERP",
            "/linear-swap-api/v1/swap_his_open_interest?contract_code=BTC-USDT&period=60min&amount_type=2",
            {"status": "ok", "data": {"tick": [{"volume": 5.5, "amount_type": 2, "value": 275000, "ts": HOUR}]}},
            {"contracts": None, "amount": "5.5", "value": "275000"},
        ),
    ],
)
def test_open_interest(key: str, path: str, body: Any, fields: dict[str, Any]) -> None:
    """What an exchange does not publish is null."""
    [event] = of(instrument_of_key(key), path, body, "market.open_interest")
    assert event["timestamp"] == HOUR * 1000
    assert {name: event[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("key", "path", "body"),
    [
        ("binance:BTC-USDT-PERP", "/fapi/v1/markPriceKlines?symbol=BTCUSDT&interval=1m", [kline(0)]),
        ("binance:BTC-USD-PERP", "/dapi/v1/markPriceKlines?symbol=BTCUSD_PERP&interval=1m", [kline(0)]),
        (
            "htx:BTC-USDT-PERP",
            "/index/market/history/linear_swap_mark_price_kline?contract_code=BTC-USDT&period=1min",
            {"status": "ok", "data": [{"id": HOUR // 1000, "open": "10", "high": "12", "low": "9", "close": "11"}]},
        ),
    ],
)
def test_mark_prices(key: str, path: str, body: Any) -> None:
    """A candle's first price is the mark price at its start."""
    [event] = of(instrument_of_key(key), path, body, "market.mark_prices")
    assert (event["timestamp"], event["mark_price"], event["index_price"]) == (HOUR * 1000, "10", None)
