"""Make HTX's frames, decompressed. Numbers are given as text, so that they appear as on the wire."""

from typing import Any

from schemas.instruments import Instrument, assumed_instrument
from tests.frames import MS, dumps

SPOT = assumed_instrument("htx-spot", "htx", "BTC-USDT")
LINEAR = assumed_instrument("htx-linear", "htx", "BTC-USDT-PERP").model_copy(update={"contract_size": "0.001"})


def push(instrument: Instrument, channel: str, tick: str, ms: int = MS) -> bytes:
    return f'{{"ch":"market.{instrument.exchange_symbol}.{channel}","ts":{ms + 2},"tick":{tick}}}'.encode()


def _object(fields: dict[str, str]) -> str:
    """Return a JSON object of values that are JSON. An empty value omits its key."""
    return "{" + ",".join(f'"{key}":{value}' for key, value in fields.items() if value) + "}"


def spot_row(**changes: str) -> str:
    fields = {
        "id": "1.4122033445510212e+26", "ts": f"{MS + 173}", "tradeId": "104400550011", "amount": "0.0125",
        "price": "86750.62", "direction": '"buy"',
    }  # fmt: skip
    return _object(fields | changes)


def linear_row(**changes: str) -> str:
    fields = {
        "id": "5007009000001", "ts": f"{MS + 335}", "price": "86750.3", "amount": "2", "quantity": "0.002",
        "trade_turnover": "173.5006", "direction": '"buy"',
    }  # fmt: skip
    return _object(fields | changes)


def trades(instrument: Instrument, *rows: str) -> bytes:
    return push(instrument, "trade.detail", f'{{"id":141220334455,"ts":{MS},"data":[{",".join(rows)}]}}')


def spot_bbo(**changes: str) -> bytes:
    fields = {
        "seqId": "141220330007", "ask": "86751.02", "askSize": "0.42", "bid": "86751.01", "bidSize": "1.1",
        "quoteTime": f"{MS}", "symbol": '"btcusdt"',
    }  # fmt: skip
    return push(SPOT, "bbo", _object(fields | changes))


def linear_bbo(**changes: str) -> bytes:
    fields = {
        "mrid": "500700801", "id": f"{MS // 1000}", "bid": "[86750.9,12]", "ask": "[86751.9,77]", "ts": f"{MS}",
        "version": "500700801",
    }  # fmt: skip
    return push(LINEAR, "bbo", _object(fields | changes))


def mbp(sequence: int, previous: int, bids: str = "[]", asks: str = "[]", levels: int = 150) -> bytes:
    """Make a spot diff. Sides are JSON, `[[86751.1,0.75]]`; an empty text omits the side."""
    fields = {"seqNum": f"{sequence}", "prevSeqNum": f"{previous}", "bids": bids, "asks": asks}
    return push(SPOT, f"mbp.{levels}", _object(fields))


def mbp_snapshot(data: str, levels: int = 150) -> bytes:
    """Make the response to a request for a spot snapshot."""
    return f'{{"id":"7","rep":"market.btcusdt.mbp.{levels}","status":"ok","ts":{MS},"data":{data}}}'.encode()


def high_frequency(event: str, version: int, bids: str = "[]", asks: str = "[]") -> bytes:
    """Make a `snapshot` or `update` of a linear book."""
    fields = {
        "mrid": "500700800", "id": "500700800", "bids": bids, "asks": asks, "ts": f"{MS}", "version": f"{version}",
        "event": f'"{event}"',
    }  # fmt: skip
    return push(LINEAR, "depth.size_150.high_freq", _object(fields))


def depth_step(instrument: Instrument, step: int, bids: str, asks: str) -> bytes:
    return push(instrument, f"depth.step{step}", f'{{"bids":{bids},"asks":{asks},"version":99,"ts":{MS}}}')


def refreshed(levels: int, bids: str, asks: str) -> bytes:
    """Make a whole spot book of the best levels. An empty text omits the side."""
    return push(SPOT, f"mbp.refresh.{levels}", _object({"seqNum": "180500000012", "bids": bids, "asks": asks}))


def merged(step: int, **changes: str) -> bytes:
    """Make a whole book of a swap, whose version is only a second."""
    fields = {
        "mrid": "500700811", "id": f"{MS // 1000}", "bids": "[[86750.9,12]]", "asks": "[[86751.9,77]]", "ts": f"{MS}",
        "version": f"{MS // 1000}",
    }  # fmt: skip
    return push(LINEAR, f"depth.step{step}", _object(fields | changes))


def spot_detail(channel: str = "detail", **changes: str) -> bytes:
    """Make the statistics of 24 hours of spot, as `detail` or `ticker`."""
    fields = {
        "id": "311070770838", "low": "86100.15", "high": "87900", "open": "86400.3", "close": "86751.02",
        "vol": "818158859.8785326", "amount": "9437.159881877742", "version": "311070770838", "count": "699452",
    }  # fmt: skip
    return push(SPOT, channel, _object(fields | changes))


def linear_detail(instrument: Instrument = LINEAR, **changes: str) -> bytes:
    fields = {
        "id": f"{MS // 1000}", "mrid": "500700811", "open": "86400.3", "close": "86750.9", "high": "87900",
        "low": "86100.1", "amount": "34473.406", "vol": "34473406", "trade_turnover": "2993364677.232",
        "count": "203526", "ask": "[86751.9,77]", "bid": "[86750.9,12]",
    }  # fmt: skip
    return push(instrument, "detail", _object(fields | changes))


def spot_kline(period: str = "1min", **changes: str) -> bytes:
    fields = {
        "id": "1789999980", "open": "86750.1", "close": "86751.02", "low": "86749.99", "high": "86752",
        "amount": "0.0154437587", "vol": "1339.7718447", "count": "4",
    }  # fmt: skip
    return push(SPOT, f"kline.{period}", _object(fields | changes))


def linear_kline(period: str = "1min", instrument: Instrument = LINEAR, **changes: str) -> bytes:
    fields = {
        "id": "1789999980", "mrid": "500700811", "open": "86750.1", "close": "86750.9", "high": "86752", "low": "86750",
        "amount": "0.532", "vol": "532", "trade_turnover": "46151.4788", "count": "5",
    }  # fmt: skip
    return push(instrument, f"kline.{period}", _object(fields | changes))


def index_kline(channel: str = "mark_price.1min", **changes: str) -> bytes:
    """Make a bar of a mark or index price, whose values are text."""
    fields = {
        "id": "1789999980", "open": '"86750.1"', "close": '"86750.66"', "high": '"86752"', "low": '"86750"',
        "amount": '"0"', "vol": '"0"', "trade_turnover": '"0"', "count": '"0"',
    }  # fmt: skip
    return push(LINEAR, channel, _object(fields | changes))


def liquidation_row(**changes: Any) -> dict[str, Any]:
    row = {"symbol": "BTC", "contract_code": "BTC-USDT", "direction": "sell", "offset": "close", "volume": 432}
    rest = {"price": 86012.5, "created_at": MS + 3, "amount": 0.432, "trade_turnover": 37157.4}
    return row | rest | {"contract_type": "swap", "pair": "BTC-USDT", "business_type": "swap"} | changes


def liquidations(*rows: dict[str, Any]) -> bytes:
    """Make a frame of the notification socket."""
    frame = {"op": "notify", "topic": "public.BTC-USDT.liquidation_orders", "ts": MS + 5}
    return dumps(frame | {"data": rows or [liquidation_row()]})


def open_interest(**changes: Any) -> bytes:
    """Make the answer to a poll of open interest."""
    row = {"volume": 54321000.0, "amount": 54321.0, "symbol": "BTC", "value": 4712402500.5, "contract_code": "BTC-USDT"}
    day = {"trade_amount": 34473.406, "trade_volume": 34473406, "trade_turnover": 2993364677.232}
    return dumps({"status": "ok", "data": [row | day | changes], "ts": MS + 7})


def ratio_row(ts: int = MS, **changes: Any) -> dict[str, Any]:
    return {"buy_ratio": 0.53, "sell_ratio": 0.44, "locked_ratio": 0.03, "ts": ts} | changes


def ratios(*rows: dict[str, Any]) -> bytes:
    """Make the answer to a poll of ratios of accounts."""
    data = {"list": rows or [ratio_row()], "symbol": "BTC", "contract_code": "BTC-USDT", "pair": "BTC-USDT"}
    return dumps({"status": "ok", "data": data | {"business_type": "swap"}, "ts": MS + 7})


def settled_row(funding_time: int = MS, **changes: Any) -> dict[str, Any]:
    row = {"avg_premium_index": "0.000049895833333333", "funding_rate": "-0.000100000000000000", "realized_rate": None}
    return row | {"funding_time": str(funding_time), "contract_code": "BTC-USDT", "fee_asset": "USDT"} | changes


def settled_rates(*rows: dict[str, Any]) -> bytes:
    """Make the answer to a poll of settled funding rates, newest first."""
    data = {"total_page": 1, "current_page": 1, "total_size": len(rows), "data": rows or [settled_row()]}
    return dumps({"status": "ok", "data": data, "ts": MS + 7})


def funding_row(**changes: Any) -> dict[str, Any]:
    row = {"symbol": "BTC", "contract_code": "BTC-USDT", "fee_asset": "USDT", "funding_time": str(MS)}
    rate = {"funding_rate": "-0.000100000000000000", "estimated_rate": None, "settlement_time": str(MS + 1000)}
    return row | rate | changes


def funding_rates(*rows: dict[str, Any]) -> bytes:
    """Make a frame of the notification socket."""
    frame = {"op": "notify", "topic": "public.BTC-USDT.funding_rate", "ts": MS + 5}
    return dumps(frame | {"data": rows or [funding_row()]})
