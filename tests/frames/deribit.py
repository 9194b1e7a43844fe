"""Make Deribit's frames. Numbers are given as text, so that they appear as on the wire."""

from schemas.instruments import Instrument, assumed_instrument
from tests.frames import MS

PERPETUAL = assumed_instrument("deribit", "deribit", "BTC-USD-PERP")
LINEAR = assumed_instrument("deribit", "deribit", "BTC-USDC-PERP")
FUTURE = assumed_instrument("deribit", "deribit", "BTC-USD-260925")
SPOT = assumed_instrument("deribit", "deribit", "BTC-USDC")
OPTION = assumed_instrument("deribit", "deribit", "BTC-USD-260925-90000-C")


def subscription(channel: str, data: str) -> bytes:
    params = f'{{"channel":"{channel}","data":{data}}}'
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{params}}}'.encode()


def trade_row(instrument: Instrument = PERPETUAL, **changes: str) -> str:
    """Make a row of a trades frame. Values are JSON; an empty one omits its key."""
    fields = {
        "trade_seq": "150200300", "trade_id": '"400500600"', "timestamp": f"{MS + 188}", "tick_direction": "2",
        "price": "86749.5", "mark_price": "86748.4", "index_price": "86744.2",
        "instrument_name": f'"{instrument.exchange_symbol}"', "direction": '"sell"', "amount": "2500.0",
        "contracts": "250.0",
    }  # fmt: skip
    return "{" + ",".join(f'"{key}":{value}' for key, value in (fields | changes).items() if value) + "}"


def trades(*rows: str, instrument: Instrument = PERPETUAL) -> bytes:
    return subscription(f"trades.{instrument.exchange_symbol}.100ms", f"[{','.join(rows)}]")


def book(
    change: int, bids: str = "[]", asks: str = "[]", previous: int | None = None, ms: int = MS, name: str = ""
) -> bytes:
    """Make a change if `previous` is given, else a snapshot. Sides are JSON: `[["new",86749.5,4200.0]]`."""
    name = name or PERPETUAL.exchange_symbol
    kind = '"type":"snapshot"' if previous is None else f'"type":"change","prev_change_id":{previous}'
    data = f'{{{kind},"timestamp":{ms},"instrument_name":"{name}","change_id":{change},"bids":{bids},"asks":{asks}}}'
    return subscription(f"book.{name}.100ms", data)


def quote(bid: str, bid_amount: str, ask: str, ask_amount: str, ms: int = MS) -> bytes:
    name = PERPETUAL.exchange_symbol
    data = (
        f'{{"timestamp":{ms},"instrument_name":"{name}","best_bid_price":{bid},"best_bid_amount":{bid_amount},'
        f'"best_ask_price":{ask},"best_ask_amount":{ask_amount}}}'
    )
    return subscription(f"quote.{name}", data)


_PRICES = {
    "timestamp": f"{MS}", "state": '"open"', "index_price": "86744.2", "mark_price": "86748.40",
    "last_price": "86749.5", "settlement_price": "85400.0", "min_price": "85450.0", "max_price": "88050.0",
    "estimated_delivery_price": "86744.25", "best_bid_price": "86749.5", "best_bid_amount": "4000.0",
    "best_ask_price": "86750.5", "best_ask_amount": "300.0",
}  # fmt: skip
_IN_DOLLARS = '"volume_usd":690000000,"volume_notional":690000000.5'
_OF_KIND = {
    "perp": {"current_funding": "-1.25e-05", "funding_8h": "0.00003", "interest_value": "1.2"},
    "future": {},
    "spot": {},
    "option": {
        "mark_price": "0.0115", "last_price": "0.0120", "mark_iv": "55.12", "bid_iv": "0.0", "ask_iv": "57.5",
        "interest_rate": "0.0", "underlying_price": "86752.75", "underlying_index": '"BTC-25SEP26"',
        "greeks": '{"delta":-0.44512,"gamma":1e-05,"vega":91.2,"theta":-48.05,"rho":-30.4}', "best_bid_price": "0.0",
        "best_bid_amount": "0.0",
    },
}  # fmt: skip


def ticker(instrument: Instrument = PERPETUAL, **changes: str) -> bytes:
    """Make a ticker. Values are JSON; an empty one omits its key."""
    name, is_option = instrument.exchange_symbol, instrument.kind == "option"
    volumes = '"volume":8000.25' + ("" if is_option else f",{_IN_DOLLARS}")
    fields = {"instrument_name": f'"{name}"', "stats": f'{{"high":87400.0,"low":84900,"price_change":0.5,{volumes}}}'}
    if instrument.kind != "spot":
        fields["open_interest"] = "640000000" if instrument.inverse else "1767.5"
    fields = _PRICES | fields | _OF_KIND[instrument.kind] | changes
    row = ",".join(f'"{key}":{value}' for key, value in fields.items() if value)
    return subscription(f"ticker.{name}.agg2", f"{{{row}}}")


def candle(instrument: Instrument = PERPETUAL, resolution: str = "1", **changes: str) -> bytes:
    """Make a candle of 2026-09-21 14:13 UTC. Values are JSON; an empty one omits its key."""
    fields = {
        "tick": "1789999980000", "open": "86740.5", "high": "86760", "low": "86731.0", "close": "86749.5",
        "volume": "1.72302e-01", "cost": "14950.0",
    }  # fmt: skip
    row = ",".join(f'"{key}":{value}' for key, value in (fields | changes).items() if value)
    return subscription(f"chart.trades.{instrument.exchange_symbol}.{resolution}", f"{{{row}}}")


def whole_book(bids: str, asks: str, depth: int = 20, group: str = "none") -> bytes:
    """Make a frame of a book of few levels. Sides are JSON: `[[86749.5,4200.0]]`."""
    name = PERPETUAL.exchange_symbol
    head = f'"timestamp":{MS},"instrument_name":"{name}","change_id":88000000731'
    return subscription(f"book.{name}.{group}.{depth}.100ms", f'{{{head},"bids":{bids},"asks":{asks}}}')


def funding_history(*rows: str) -> bytes:
    """Make the answer of a poll of hourly interest."""
    return f'{{"jsonrpc":"2.0","result":[{",".join(rows)}],"usIn":1,"usOut":2,"usDiff":1,"testnet":false}}'.encode()


def interest_row(**changes: str) -> str:
    """Make a row of hourly interest. Values are JSON; an empty one omits its key."""
    fields = {
        "timestamp": "1789995600000", "index_price": "86744.2", "prev_index_price": "86701.0",
        "interest_8h": "0.00003108118735316121", "interest_1h": "0.000004003734108236",
    }  # fmt: skip
    return "{" + ",".join(f'"{key}":{value}' for key, value in (fields | changes).items() if value) + "}"
