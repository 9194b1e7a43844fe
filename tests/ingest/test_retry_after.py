"""How long an exchange wants us to wait."""

from email.utils import formatdate
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.retry_after import LONGEST, requested_wait

NOW = 1_790_000_000.0
BANNED = b'{"code":-1003,"msg":"Way too many requests; IP banned until %d."}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"Retry-After": "7"}, b"", 7),
        (429, {"Retry-After": "2.5"}, b"", 2.5),
        (418, {"Retry-After": formatdate(NOW + 100, usegmt=True)}, b"", 100.5),
        (418, {}, BANNED % int((NOW + 300) * 1000), 300.5),
        (418, {"Retry-After": "10"}, BANNED % int((NOW + 300) * 1000), 300.5),
        (418, {"Retry-After": "200000"}, b"", 200_000),
        (418, {"Date": formatdate(NOW + 60, usegmt=True)}, BANNED % int((NOW + 300) * 1000), 240.5),
        (429, {"X-MBX-ORDER-RETRY-AFTER": "9"}, b"", 9),
        (429, {}, b'{"error":{"code":-1003,"data":{"retryAfter":%d}}}' % int((NOW + 5) * 1000), 5.5),
        (200, {}, b'{"code":"50011","msg":"Too Many Requests","data":[]}', 60),
        (429, {}, b'{"code":"50061","msg":"Sub-account limit"}', 60),
        (400, {}, b'{"error":{"code":10028,"message":"too_many_requests","data":{"wait":4}}}', 4),
        (200, {}, b'{"status":"error","err_code":1032,"err_msg":"too many requests"}', 60),
        (403, {}, b"<html>forbidden</html>", 300),
        (418, {}, b"", 120),
        (429, {"Retry-After": "soon"}, b"\xff", 60),
        (429, {"Retry-After": "-5"}, b"[]", 60),
        (429, {"Retry-After": "nan"}, b"", 60),
        (429, {"Retry-After": "0"}, b"", 1),
        (418, {}, BANNED % int((NOW - 300) * 1000), 1),
        (418, {"Retry-After": "99999999"}, b"", LONGEST),
        (200, {}, b'{"code":"0","data":[]}', None),
        (400, {}, b'{"code":-1121,"msg":"Invalid symbol."}', None),
        (500, {"Retry-After": "5"}, b"", None),
    ],
)
def test_wait(status: int, headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    """The latest end that a rejection states counts; what cannot be read is ignored."""
    found = requested_wait(status, headers, body, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=0.01))


@given(st.sampled_from([200, 403, 418, 429]), st.text(), st.binary())
def test_any_header_and_body(status: int, header: str, body: bytes) -> None:
    """Whatever the headers and the body contain, the wait is within sane bounds, and nothing is raised."""
    found = requested_wait(status, {"Retry-After": header, "Date": header}, body, NOW)
    assert found is None or 1 <= found <= LONGEST


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["code", "error", "data", "retryAfter", "wait", "err_code", "msg"]), JSON))
def test_any_error_body(body: dict[str, Any]) -> None:
    """The same holds for bodies whose fields have the wrong types."""
    found = requested_wait(418, {}, orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), NOW)
    assert found is not None
    assert 1 <= found <= LONGEST
