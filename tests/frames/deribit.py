"""Make Deribit's frames. Numbers are given as text, so that they appear as on the wire."""

from schemas.instruments import Instrument, assumed_instrument
from tests.frames import MS

PERPETUAL = assumed_instrument("deribit", "deribit", "BTC-USD-PERP")
LINEAR = assumed_instrument("deribit", "deribit", "BTC-USDC-PERP")
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


def ticker(more: str = ',"current_funding":-1.25e-05,"funding_8h":0.00003,"best_bid_price":86749.5') -> bytes:
    """Make a ticker of the perpetual. `more`: JSON after the prices."""
    name = PERPETUAL.exchange_symbol
    head = f'"timestamp":{MS},"instrument_name":"{name}","index_price":86744.2,"mark_price":86748.40'
    return subscription(f"ticker.{name}.100ms", f"{{{head}{more}}}")
