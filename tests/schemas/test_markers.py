"""Markers that hold bytes of an exchange: the answers of polls."""

import orjson
import pytest

from schemas.limits import MAX_FRAME
from schemas.markers import Answer, answer_of, decode_text, encode_text
from schemas.raw import decode_record, encode_marker


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'[{"ratio": "1.50",\n  "t": 1e-7}]', b'[{"ratio":"1.50","t":1e-7}]'),  # one line, and numbers as they were
        (b"", b'""'),
        (b"<html>\n</html>", b'"<html>\\n</html>"'),
        (b"\xff", '"\ufffd"'.encode()),
        (b'["\xff"]', '"[\\"\ufffd\\"]"'.encode()),
        (b"[1e999]", b'"[1e999]"'),
    ],
)
def test_an_answer_is_one_line(body: bytes, kept: bytes) -> None:
    """Whatever the exchange answers, the marker can be written and read again."""
    marker = answer_of("account_ratios", "/stat?symbol=BTCUSDT", 5, body)
    [line] = decode_record(encode_marker(7, "binance:BTC-USDT-PERP", marker))
    again = decode_text(line.frame)
    assert isinstance(again, Answer)
    assert (again.channel, again.path, again.due) == ("account_ratios", "/stat?symbol=BTCUSDT", 5)
    assert bytes(again.body) == kept
    orjson.loads(kept)
    assert encode_text(again) == line.frame


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 1010 + b"]" * 1010, b"\0" * 890_000])
def test_an_answer_stays_small(body: bytes) -> None:
    """Of one that is not JSON, or nested too deeply, the beginning is kept: no record can be too large to be sent."""
    line = encode_marker(7, "binance:BTC-USDT-PERP", answer_of("account_ratios", "/stat", 5, body))
    assert len(line) < MAX_FRAME
    [decoded] = decode_record(line)
    assert isinstance(decode_text(decoded.frame), Answer)
