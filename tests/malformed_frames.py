"""What a faulty server may send on a Binance socket, each frame in addition to what it sends anyway."""

import base64

from marketprism.simulator import Malformed
from marketprism.simulator.server.book_faults import INVALID_UTF8

_TRADE = b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1790000000000,"T":1790000000000,"s":"BTCUSDT",'

RUBBISH: dict[str, bytes] = {
    "truncated": _TRADE,
    "wrong types": _TRADE + b'"t":"x","p":1,"q":[],"m":3}}',
    "unknown channel": b'{"stream":"btcusdt@mystery","data":{"e":"mystery","s":"BTCUSDT"}}',
    "empty array": b"[]",
    "oversized": b'{"stream":"btcusdt@trade","data":"' + b"x" * 10_000_000 + b'"}',
    "text that is no UTF-8": INVALID_UTF8,
    "binary": b'{"stream":"btcusdt@trade","data":"\xff\xfe\xfd"}',
    "NaN": _TRADE + b'"t":1,"p":NaN,"q":"1","m":true}}',
    "negative amount": _TRADE + b'"t":1,"p":"1","q":"-1","m":true}}',
}


def rubbish(form: str, feed: str = "binance-spot", symbol: str = "BTC-USDT") -> Malformed:
    """The plan that sends a frame of `RUBBISH` once, after the symbol's next book update."""
    if form == "text that is no UTF-8":
        return Malformed(feed=feed, symbol=symbol, form="invalid_utf8")
    return Malformed(feed=feed, symbol=symbol, form="given", frame_base64=base64.b64encode(RUBBISH[form]).decode())
