"""Trades are published once, and missing ones are reported until they have arrived."""

from typing import Any

import orjson
import pytest

from schemas.events import EVENTS
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import T0, binance, deribit, htx, line, marker, okx, tick
from tests.streams.helpers import Found, bodies, run

KEY = "binance:BTC-USDT"


def binance_trade(number: int, millis: float, **changes: Any) -> bytes:
    return line(KEY, binance.trade(t=number, **changes), millis)


def okx_trade(number: int, count: int, millis: float) -> bytes:
    return line("okx:BTC-USDT", okx.trade(tradeId=str(number), count=str(count)), millis)


def deribit_trade(number: int, millis: float) -> bytes:
    row = deribit.trade_row(trade_seq=str(number), trade_id=f'"{number}"')
    return line("deribit:BTC-USD-PERP", deribit.trades(row), millis)


def gaps(found: Found) -> list[tuple[str, ...]]:
    fields = ("type", "channel", "cause", "first_missing", "last_missing")
    return [tuple(gap[name] for name in fields) for gap in bodies(found, "market.gaps")]


@pytest.mark.parametrize(
    ("exchange", "one"),
    [
        ("binance", binance_trade),
        ("okx", lambda number, millis: okx_trade(number, 1, millis)),
        ("deribit", deribit_trade),
    ],
)
def test_missing_trades_are_a_gap_until_they_arrive(exchange: str, one: Any) -> None:
    """Of consecutive ids only 1, 2, 9 and 10 arrive: 3 to 8 are a gap, which closes once all of them have arrived."""
    missing = b"".join(one(number, 5_000) for number in range(3, 9))
    found = run(
        exchange,
        *(one(number, number * 10) for number in (1, 2, 9, 10)),
        tick(exchange, 1_000),
        tick(exchange, 3_000),
        missing,
        tick(exchange, 6_000),
    )
    assert gaps(found) == [
        ("opened", "trades", "sequence", "3", "8"),
        ("closed", "trades", "sequence", "3", "8"),
    ]
    opened, closed = bodies(found, "market.gaps")
    assert opened["id"] == closed["id"]
    assert opened["since"] == (T0 + 20_000_000) // 1000
    assert [trade["id"] for trade in bodies(found, "market.trades")] == [
        str(each) for each in (1, 2, 9, 10, *range(3, 9))
    ]


def test_a_hole_that_another_socket_fills_is_not_a_gap() -> None:
    """While two sockets overlap, one may be ahead of the other for a moment."""
    found = run(
        "binance",
        binance_trade(1, 0) + binance_trade(4, 10) + binance_trade(2, 20) + binance_trade(3, 30) + binance_trade(4, 40),
        tick("binance", 5_000),
    )
    assert gaps(found) == []
    assert [trade["id"] for trade in bodies(found, "market.trades")] == ["1", "4", "2", "3"]


def test_used_up_ids_are_not_a_gap() -> None:
    """USD-M uses up some ids without a trade, and sends placeholders for them."""
    key = "binance:BTC-USDT-PERP"
    lines = [line(key, binance.trade(t=number, X="NA" if number == 2 else "MARKET")) for number in (1, 2, 3)]
    found = run("binance", b"".join(lines), tick("binance", 5_000))
    assert gaps(found) == []
    assert [trade["id"] for trade in bodies(found, "market.trades")] == ["1", "3"]


def test_merged_fills_are_not_a_gap() -> None:
    """An OKX trade of three fills has the id of the last one. A repeated merged trade is a duplicate."""
    found = run(
        "okx",
        okx_trade(3, 3, 0) + okx_trade(6, 3, 1) + okx_trade(7, 1, 2) + okx_trade(6, 3, 3) + okx_trade(12, 2, 4),
        tick("okx", 5_000),
    )
    assert gaps(found) == [("opened", "trades", "sequence", "8", "10")]
    assert [trade["id"] for trade in bodies(found, "market.trades")] == ["3", "6", "7", "12"]


@pytest.mark.parametrize("away", [100, 5_000])
def test_an_outage_of_trades_without_consecutive_ids_is_a_gap_in_time(away: int) -> None:
    """HTX's ids are not consecutive: only the time shows what its socket missed."""
    key = "htx:BTC-USDT"

    def trade(number: int, millis: float) -> bytes:
        return line(key, htx.trades(htx.SPOT, htx.spot_row(tradeId=str(number))), millis)

    found = run(
        "htx",
        marker(key, "connected", 0, channels=["trades"]) + marker(key, "subscribed", 1, channels=["trades"]),
        trade(50, 10) + trade(70, 20) + trade(70, 21),
        marker(key, "disconnected", 30, channels=["trades"], reason="closed"),
        marker(key, "connected", away + 20, channels=["trades"]),
        marker(key, "subscribed", away + 30, channels=["trades"]) + trade(70, away + 40) + trade(90, away + 50),
    )
    assert gaps(found) == [("opened", "trades", "disconnected", "", ""), ("closed", "trades", "disconnected", "", "")]
    assert bodies(found, "market.gaps")[1]["duration"] == (away + 30 - 21) * 1000
    assert [trade["id"] for trade in bodies(found, "market.trades")] == ["50", "70", "90"]


def test_duplicate_rows_of_a_frame() -> None:
    """Two equal rows of a frame are one trade."""
    row = deribit.trade_row()
    found = run("deribit", line("deribit:BTC-USD-PERP", deribit.trades(row, row)))
    assert len(bodies(found, "market.trades")) == 1


def test_known_ids_survive_a_restart() -> None:
    """After a crash, an earlier trade is recognised as a duplicate, and an earlier gap is closed."""
    settings = load_settings()
    first, second = RawProcessor("binance", 0, settings), RawProcessor("binance", 0, settings)
    first.process(0, binance_trade(1, 0) + binance_trade(5, 10))
    first.process(1, tick("binance", 3_000))
    for key in first.take_changed():
        second.load(key, first.dump(key))
    out = second.process(
        2,
        binance_trade(5, 4_000)
        + binance_trade(2, 4_001)
        + binance_trade(3, 4_002)
        + binance_trade(4, 4_003)
        + tick("binance", 5_000),
    )
    bodies = [(topic, orjson.loads(value)) for topic, _, value in out.records if topic in EVENTS]
    assert [body["id"] for topic, body in bodies if topic == "market.trades"] == ["2", "3", "4"]
    assert [body["type"] for topic, body in bodies if topic == "market.gaps"] == ["closed"]


def test_the_same_trade_with_and_without_its_count() -> None:
    """A copy that does not say how many fills it merges is a duplicate, and opens no gap."""
    without = line("okx:BTC-USDT", okx.trade(tradeId="9", count=""), 20)
    found = run("okx", okx_trade(5, 1, 0) + without + okx_trade(9, 4, 30) + okx_trade(10, 1, 40), tick("okx", 5_000))
    assert [trade["id"] for trade in bodies(found, "market.trades")] == ["5", "9", "10"]
    assert gaps(found) == []


@pytest.mark.parametrize(("mark", "sides"), [("T", ["buy"]), ("M", ["sell"]), ("MT", ["buy", "sell"])])
def test_marked_trades_are_liquidations(mark: str, sides: list[str]) -> None:
    """Deribit marks the trades of liquidations: of the taker, of the maker or of both. A repetition counts once."""
    row = deribit.trade_row(direction='"buy"', liquidation=f'"{mark}"')
    frame = line("deribit:BTC-USD-PERP", deribit.trades(row))
    found = run("deribit", frame, frame)
    [trade] = bodies(found, "market.trades")
    liquidations = bodies(found, "market.liquidations")
    assert [each["side"] for each in liquidations] == sides
    for each in liquidations:
        assert (each["average_price"], each["amount"]) == (trade["price"], trade["amount"])
        assert (each["price"], each["sampled"]) == (None, False)
