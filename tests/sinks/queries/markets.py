"""Answers about derivatives, signals and the data itself, computed in Python's decimals from the events."""

import re
from decimal import Decimal
from typing import Any

from tests.sinks.queries.exact import (
    DAY,
    HOUR,
    MINUTE,
    Data,
    Row,
    at_level,
    divide,
    grouped,
    instrument,
    minus,
    recent,
    times,
    total,
)
from tests.sinks.queries.registry import Answer, answers


def latest(rows: list[tuple[int, Row]]) -> Row:
    return max(rows, key=lambda each: (each[1]["local_timestamp"], each[0]))[1]


@answers("Funding carry")
def funding(data: Data, now: int) -> Answer:
    rows = [each for each in recent(data["funding"], now) if each[1]["type"] == "estimated"]
    found: Answer = []
    for key, group in grouped(rows, lambda each: instrument(each[1])).items():
        row = latest(group)
        rate, hours, mark, index = Decimal(row["rate"]), row["interval_hours"], row["mark_price"], row["index_price"]
        yearly = None if hours is None else divide(times(rate, 876_000), hours)
        premium = None
        if mark is not None and index is not None:
            premium = divide(times(minus(Decimal(mark), Decimal(index)), 10_000), Decimal(index))
        found.append((*key, rate, hours, yearly, premium))
    return found


@answers("Open interest")
def open_interest(data: Data, now: int) -> Answer:
    rows = [each for each in recent(data["open_interest"], now) if each[1]["amount"] is not None]
    found: Answer = []
    for key, group in grouped(rows, lambda each: instrument(each[1])).items():
        before = None
        for start, each in grouped(group, lambda each: each[1]["timestamp"] // (5 * MINUTE) * 5 * MINUTE).items():
            now_open = Decimal(latest(each)["amount"])
            found.append((*key, start, now_open, minus(now_open, before if before is not None else now_open)))
            before = now_open
    return found


@answers("Option smile")
def smile(data: Data, now: int) -> Answer:
    rows = [
        each
        for each in recent(data["options"], now)
        if each[1]["exchange"] == "deribit" and re.match(r"BTC-USD-\d", each[1]["symbol"])
    ]
    nearest = min((each[1]["symbol"].split("-")[2] for each in rows), default="")
    rows = [each for each in rows if each[1]["symbol"].split("-")[2] == nearest]
    last = [latest(group) for group in grouped(rows, lambda each: each[1]["symbol"]).values()]
    found: Answer = []
    for strike, options in grouped(last, lambda row: Decimal(row["symbol"].split("-")[3])).items():
        by_type = {row["symbol"][-1]: row for row in options}
        figures = (
            by_type.get(kind, {}).get(field) for kind, field in (("C", "mark_iv"), ("P", "mark_iv"), ("C", "delta"))
        )
        found.append((strike, *(None if each is None else Decimal(each) for each in figures)))
    return found


@answers("Arbitrage")
def arbitrage(data: Data, now: int) -> Answer:
    rows = [row for _, row in recent(data["signals"], now, DAY) if row["type"] == "closed"]

    def key(row: Row) -> tuple[Any, ...]:
        return row["opened_at"] // HOUR * HOUR, row["symbol"], row["buy"]["exchange"], row["sell"]["exchange"]

    return [
        (
            *key,
            len(group),
            at_level([row["lifetime"] for row in group], 0.5),
            total(Decimal(row["peak_profit"]) for row in group),
            max(row["peak_net_bps"] for row in group),
        )
        for key, group in grouped(rows, key).items()
    ]


@answers("Dead letters")
def dead_letters(data: Data, now: int) -> Answer:
    rows = [row for _, row in recent(data["dead_letters"], now, DAY)]

    def key(row: Row) -> tuple[str, str, str]:
        return row["exchange"], row["topic"], re.sub("[0-9]+", "#", row["reason"])

    found: Answer = []
    for cause, group in grouped(rows, key).items():
        stamps = [row["local_timestamp"] for row in group]
        found.append((*cause, len(group), sum(row["frame_bytes"] for row in group), min(stamps), max(stamps)))
    return sorted(found, key=lambda each: (-each[3], *each[:3]))


@answers("Duplicates")
def duplicates(data: Data, now: int) -> Answer:
    found: Answer = []
    for key, rows in grouped([row for _, row in recent(data["trades"], now)], instrument).items():
        found.append((*key, len(rows), *(len(rows) - len({row[field] for row in rows}) for field in ("id", "source"))))
    return found


@answers("Time with a live book")
def live(data: Data, now: int) -> Answer:
    found: Answer = []
    for key, rows in grouped([row for _, row in recent(data["books"], now)], instrument).items():
        stamps = [row["local_timestamp"] for row in rows]
        begin, end, missing = min(stamps), max(stamps), 0
        gaps = [row for row in data["gaps"] if instrument(row) == key and row["channel"] == "books"]
        for gap in grouped(gaps, lambda row: row["id"]).values():
            closed = max((row["local_timestamp"] for row in gap if row["type"] == "closed"), default=now)
            missing += max(min(closed, end) - max(gap[0]["since"], begin), 0)
        found.append((*key, end - begin, missing, 1 - missing / (end - begin)))
    return found


@answers("Latency and age")
def latency(data: Data, now: int) -> Answer:
    rows = [
        (row["exchange"], channel, row)
        for _, row in recent(data["status"], now)
        if row["type"] == "report" and row["messages"]
        for channel in row["channels"]
    ]
    found: Answer = []
    for key, group in grouped(rows, lambda each: each[:2]).items():
        medians = [row["latency_median"] for *_, row in group]
        longest = [max(row[field] for *_, row in group) for field in ("latency_max", "age")]
        found.append((*key, len(group), at_level(medians, 0.5), at_level(medians, 0.95), *longest))
    return found
