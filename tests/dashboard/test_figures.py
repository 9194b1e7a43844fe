"""The page's figures as texts: `core/format.js`, and ClickHouse's times and types in `sql/types.js`.

The modules are pure, so that any JavaScript engine can run them. Without Node these tests are skipped.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import marketprism.dashboard

Run = Callable[..., object]

_MODULES = Path(marketprism.dashboard.__file__).parent / "static" / "js"
_NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(_NODE is None, reason="needs Node")

_NOON = 1_795_694_400_000_000  # 2026-11-26 12:00:00 UTC, in µs


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that evaluates an expression with the names of both modules, in a time zone."""
    for name in ("core/format.js", "sql/types.js"):
        shutil.copy(_MODULES / name, (tmp_path / Path(name).name).with_suffix(".mjs"))
    script = tmp_path / "run.mjs"

    def evaluate(expression: str, zone: str = "UTC") -> object:
        script.write_text(
            'import * as format from "./format.mjs"; import * as types from "./types.mjs";\n'
            "Object.assign(globalThis, format, types);\n"
            f"console.log(JSON.stringify({expression}));\n"
        )
        done = subprocess.run(
            [str(_NODE), str(script)], env={**os.environ, "TZ": zone}, capture_output=True, check=True
        )
        return json.loads(done.stdout)

    return evaluate


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ('price("66953.2", 2)', "66,953.20"),
        ('price("66953.20000000", 2)', "66,953.20"),
        ('price("66953.20000001", 2)', "66,953.20000001"),
        ('price("12345678901234567890.123456789012345678", 2)', "12,345,678,901,234,567,890.123456789012345678"),
        ('price("1000", 0)', "1,000"),
        ('price("-0.5", 1)', "−0.5"),
        ("price(null, 2)", "–"),
        ('amount("0.00001")', "<0.0001"),
        ('amount("0")', "0.0000"),
        ('amount("12345.678")', "12,345.7"),
        ("amount(null)", "–"),
        ("bps(1.005)", "+1.00"),
        ("bps(-0.4)", "−0.40"),
        ("bps(-0.001)", "0.00"),
        ("bps(null)", "–"),
        ('rate("0.0001")', "+0.0100 %"),
        ("share(0.5)", "50.0 %"),
        ("compact(81000)", "81.00 k"),
        ("compact(5430000000)", "5.43 bn"),
        ("fixed(-1234.5, 1)", "−1,234.5"),
        ("fixed(NaN, 1)", "–"),
    ],
)
def test_figures(run: Run, expression: str, text: str) -> None:
    """Figures keep every digit that was published, have a real minus, and are never 0 when nothing is known."""
    assert run(expression) == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("age(7_400)", "7 ms"),
        ("age(999_400)", "999 ms"),
        ("age(1_250_000)", "1.2 s"),
        ("age(59_990_000)", "59.9 s"),
        ("age(180e6)", "3 min"),
        ("age(2 * 3600e6)", "2 h"),
        ("age(50 * 3600e6)", "2 d"),
        ("age(-5)", "0 ms"),
        ("age(null)", "–"),
        ("edge(3e6)", "3 s"),
        ("countdown(3600e6 + 5 * 60e6)", "1 h 05 min"),
        ("countdown(30e6)", "<1 min"),
        ("countdown(-1)", "now"),
    ],
)
def test_spans(run: Run, expression: str, text: str) -> None:
    """Spans of time are in their largest sensible unit."""
    assert run(expression) == text


@pytest.mark.parametrize(("tick", "digits"), [("0.01", 2), ("0.50", 1), ("10", 0), ("0.00000001", 8), (None, 0)])
def test_decimals_of_a_tick(run: Run, tick: str | None, digits: int) -> None:
    """Zeros at the end of a tick are no digits."""
    assert run(f"decimals({json.dumps(tick)})") == digits


@pytest.mark.parametrize(("zone", "text"), [("UTC", "12:00:00.120"), ("Asia/Kolkata", "17:30:00.120")])
def test_clock_is_in_the_viewers_zone(run: Run, zone: str, text: str) -> None:
    """Times are in the zone of the viewer."""
    assert run(f"clock({_NOON + 120_999})", zone) == text


def test_day_is_named_unless_it_is_today(run: Run) -> None:
    """The day is left out for times of the same day."""
    assert run(f"dayAndMinute({_NOON}, {_NOON + 3_600_000_000})") == "12:00"
    assert run(f"dayAndMinute({_NOON}, {_NOON + 86_400_000_000})") == "26 Nov 12:00"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-26 12:00:00", _NOON),
        ("2026-11-26 12:00:00.123456", _NOON + 123_456),
        ("2026-11-26T12:00:00.5Z", _NOON + 500_000),
        ("2026-11-26", _NOON - 12 * 3_600_000_000),
    ],
)
def test_times_of_clickhouse(run: Run, text: str, time: int) -> None:
    """ClickHouse's times are UTC, whatever the viewer's zone."""
    assert run(f"timeOf({json.dumps(text)})", "America/New_York") == time


@pytest.mark.parametrize(
    ("kind", "is_number", "is_time"),
    [
        ("Nullable(Decimal(38, 18))", True, False),
        ("UInt64", True, False),
        ("LowCardinality(Nullable(String))", False, False),
        ("DateTime64(6, 'UTC')", False, True),
        ("Nullable(Date)", False, True),
        ("Array(Float64)", False, False),
    ],
)
def test_types_of_clickhouse(run: Run, kind: str, is_number: bool, is_time: bool) -> None:
    """Wrappers of a type do not hide what it is."""
    assert run(f"[isNumber({json.dumps(kind)}), isTime({json.dumps(kind)})]") == [is_number, is_time]
