"""Malformed frames that a faulty server may send on a Binance socket, in addition to its normal frames."""

import base64

from marketprism.simulator import Malformed
from marketprism.simulator.server.book_faults import INVALID_UTF8

_TRADE = b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1790000000000,"T":1790000000000,"s":"BTCUSDT",'

MALFORMED_FRAMES: dict[str, bytes] = {
    "truncated": _TRADE,
    "wrong types": _TRADE + b'"t":"x","p":1,"q":[],"m":3}}',
    "unknown channel": b'{"stream":"btcusdt@mystery","data":{"e":"mystery","s":"BTCUSDT"}}',
    "empty array": b"[]",
    "oversized": b'{"stream":"btcusdt@trade","data":"' + b"x" * 10_000_000 + b'"}',
    "invalid UTF-8": INVALID_UTF8,
    "binary": b'{"stream":"btcusdt@trade","data":"\xff\xfe\xfd"}',
    "NaN": _TRADE + b'"t":1,"p":NaN,"q":"1","m":true}}',
    "negative amount": _TRADE + b'"t":1,"p":"1","q":"-1","m":true}}',
}


def malformed(form: str, feed: str = "binance-spot", symbol: str = "BTC-USDT") -> Malformed:
    """Return the plan that sends a frame of `MALFORMED_FRAMES` once, after the symbol's next book update."""
    if form == "invalid UTF-8":
        return Malformed(feed=feed, symbol=symbol, form="invalid_utf8")
    encoded = base64.b64encode(MALFORMED_FRAMES[form]).decode()
    return Malformed(feed=feed, symbol=symbol, form="given", frame_base64=encoded)
