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


def funding_row(**changes: Any) -> dict[str, Any]:
    row = {"symbol": "BTC", "contract_code": "BTC-USDT", "fee_asset": "USDT", "funding_time": str(MS)}
    rate = {"funding_rate": "-0.000100000000000000", "estimated_rate": None, "settlement_time": str(MS + 1000)}
    return row | rate | changes


def funding_rates(*rows: dict[str, Any]) -> bytes:
    """Make a frame of the notification socket."""
    frame = {"op": "notify", "topic": "public.BTC-USDT.funding_rate", "ts": MS + 5}
    return dumps(frame | {"data": rows or [funding_row()]})
