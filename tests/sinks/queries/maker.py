"""Make a made-up hour of events of every table: seeded, with ties, empty sides, nulls and events before the hour."""

import random
from collections.abc import Iterator
from typing import Any

from tests.sinks.events import DAY, SIDE, event
from tests.sinks.queries.exact import HOUR, MINUTE, Data, Row, grouped, in_order, of, on_book

NOW = DAY + 3 * HOUR
BEGIN = NOW - 70 * MINUTE
INSTRUMENTS = (("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP"), ("okx", "BTC-USDT"))
SECOND = 1_000_000
_TOPICS = {
    "trades": "market.trades", "quotes": "market.quotes", "candles": "market.candles", "books": "market.books",
    "liquidations": "market.liquidations", "funding": "market.funding", "open_interest": "market.open_interest",
    "options": "market.options", "gaps": "market.gaps", "quality": "market.quality", "status": "market.status",
    "signals": "signals.arbitrage", "dead_letters": "dead_letters",
}  # fmt: skip


def made(seed: int) -> Data:
    """Return events of each table, by time of receipt."""
    chance = random.Random(seed)
    data: Data = {"trades": _sorted("trades", _trades(chance)), "quotes": _sorted("quotes", _quotes(chance))}
    data["candles"] = _sorted("candles", _candles(chance, data["trades"]))
    market = (_books, _liquidations, _funding, _open_interest, _options, _gaps, _quality, _status)
    makers = (*market, _signals, _dead_letters)
    for maker in makers:
        table = maker.__name__[1:]
        data[table] = _sorted(table, maker(chance))
    return data


def _sorted(table: str, bodies: Iterator[Row]) -> list[Row]:
    ordered = sorted(bodies, key=lambda body: body["local_timestamp"])
    return [event(_TOPICS[table], f"binance:0:{n}:0:0", **body) for n, body in enumerate(ordered)]


def _stamps(chance: random.Random, number: int) -> Iterator[Row]:
    for _ in range(number):
        exchange, symbol = chance.choice(INSTRUMENTS)
        stamp = BEGIN + chance.randrange(70 * 60) * SECOND + chance.choice([0, 1, 333_333, 999_999])
        received = stamp + chance.choice([0, 5, 5, 70_000])
        yield {"exchange": exchange, "symbol": symbol, "timestamp": stamp, "local_timestamp": received}


def _price(chance: random.Random, places: int = 2) -> str:
    return f"{chance.randrange(59_990, 60_010)}.{chance.randrange(10**places):0{places}}"


def _amount(chance: random.Random) -> str:
    return f"{chance.randrange(3)}.{chance.randrange(1, 10**8):08}"


def _trades(chance: random.Random) -> Iterator[Row]:
    for n, head in enumerate(_stamps(chance, 2_000)):
        kind = chance.choice(["normal"] * 6 + ["liquidation", "block", "adl"])
        paid = {"price": _price(chance), "amount": _amount(chance), "side": chance.choice(["buy", "sell"])}
        yield head | paid | {"id": str(n if n % 400 else 1), "kind": kind}  # a few ids occur twice


def _quotes(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 3_000):
        price, width = chance.randrange(5_999_000, 6_001_000), chance.randrange(1, 300)
        bids = [[f"{price / 100:.2f}", _amount(chance)]]
        even = chance.random() < 0.05  # both amounts are equal, so the microprice is the mid
        asks = [[f"{(price + width) / 100:.2f}", bids[0][1] if even else _amount(chance)]]
        sides: dict[str, Any] = {"bids": bids if chance.random() > 0.02 else [], "asks": asks}
        yield head | sides | {"origin": chance.choice(["bbo", "bbo", "book"])}


def _candles(chance: random.Random, trades: list[Row]) -> Iterator[Row]:
    """The exchange's candles: right ones, wrong ones, open ones, and others that the query must leave out."""
    rows = [(n, row) for n, row in enumerate(trades) if of(row, *INSTRUMENTS[0]) and on_book(row)]
    for start, group in grouped(rows, lambda each: each[1]["timestamp"] // MINUTE * MINUTE).items():
        paid = [row["price"] for _, row in sorted(group, key=in_order)]
        body = {
            "start": start, "end": start + MINUTE, "timestamp": start + MINUTE, "local_timestamp": start + MINUTE + 9,
            "open": paid[0], "high": max(paid), "low": min(paid), "close": paid[-1], "trades": len(paid),
            "volume": chance.choice([None, "1.5"]), "complete": chance.random() > 0.1,
        }  # fmt: skip
        yield body
        yield body | {"closed": False, "close": "1"}
        yield body | {"interval": "5m", "close": "2"}
        yield body | {"contract": "current_quarter", "close": "3"}
        yield body | {"origin": "trades", "close": "5"}
        yield body | {"exchange": "okx", "close": "4"}


def _books(chance: random.Random) -> Iterator[Row]:
    """A few updates a minute after each snapshot, some at its very time, and a silence of minutes now and then."""
    for exchange, symbol in INSTRUMENTS:
        stamp = BEGIN + chance.randrange(MINUTE)
        while stamp < NOW:
            snapshot = {side: _levels(chance, 40) for side in ("bids", "asks")}
            head = {"exchange": exchange, "symbol": symbol}
            yield head | snapshot | {"type": "snapshot", "timestamp": stamp, "local_timestamp": stamp}
            for _ in range(5):
                stamp += chance.choice([0, 1, 7 * SECOND, 20 * SECOND])
                update = {side: _levels(chance, chance.randrange(4)) for side in ("bids", "asks")}
                yield head | update | {"type": "update", "timestamp": stamp, "local_timestamp": stamp}
            stamp += chance.choice([0, 20 * SECOND, 20 * SECOND, 3 * MINUTE])


def _levels(chance: random.Random, number: int) -> list[list[str]]:
    """Levels of distinct prices, some of which are deleted."""
    prices = chance.sample(range(6_000_000, 6_000_060), number)
    return [[f"{price / 100:.2f}", chance.choice([_amount(chance), _amount(chance), "0"])] for price in prices]


def _liquidations(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 300):
        price = chance.choice([_price(chance), None])
        average = _price(chance) if price is None else chance.choice([_price(chance), None])
        side, sampled = chance.choice(["buy", "sell"]), chance.random() > 0.5
        body = {"price": price, "average_price": average, "amount": _amount(chance), "side": side, "sampled": sampled}
        yield head | body


def _funding(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 200):
        prices = {name: chance.choice([_price(chance), None]) for name in ("mark_price", "index_price")}
        rate = f"{chance.choice(['', '-'])}0.000{chance.randrange(10**6):06}"
        kind, hours = chance.choice(["estimated", "settled"]), chance.choice([8, 4, None])
        yield head | prices | {"type": kind, "rate": rate, "interval_hours": hours}


def _open_interest(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 300):
        yield head | {"amount": chance.choice([_amount(chance), _amount(chance), None])}


def _options(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 300):
        expiry, strike, kind = (
            chance.choice(["261225", "261226"]),
            chance.choice(["60000", "9000.5"]),
            chance.choice("CP"),
        )
        name = {"exchange": chance.choice(["deribit", "okx"]), "symbol": f"BTC-USD-{expiry}-{strike}-{kind}"}
        delta = f"-0.{chance.randrange(1, 99)}"
        yield head | name | {"mark_iv": chance.choice([_amount(chance), None]), "delta": chance.choice([delta, None])}


def _gaps(chance: random.Random) -> Iterator[Row]:
    """Gaps of three instruments: within the hour, across its begin, still open, and of trades."""
    for number, (exchange, symbol) in enumerate(INSTRUMENTS):
        head = {"exchange": exchange, "symbol": symbol, "channel": "books"}
        for n in range(5):
            opened = BEGIN + (n * 14 + number) * MINUTE + chance.randrange(MINUTE)
            closed = opened + chance.randrange(3 * MINUTE)
            times = {"id": f"{symbol}:{n}", "since": opened - chance.randrange(SECOND), "channel": head["channel"]}
            yield head | times | {"type": "opened", "timestamp": opened, "local_timestamp": opened}
            if (n, number) != (4, 0):
                yield head | times | {"type": "closed", "timestamp": closed, "local_timestamp": closed}
        yield head | {"channel": "trades", "id": "t", "type": "opened", "since": BEGIN, "local_timestamp": BEGIN}


def _quality(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 100):
        compared, differed = chance.randrange(9, 40), chance.choice([0, 0, 1, 2])
        kind, check = chance.choice(["report", "report", "difference"]), chance.choice(["book", "candle"])
        counts = {"compared": compared, "differed": differed, "late": chance.choice([0, 5])}
        yield head | counts | {"type": kind, "check": check, "cause": chance.choice(["", "late"])}


def _status(chance: random.Random) -> Iterator[Row]:
    """Health of three instruments, whose ingest is stopped at the end."""
    for head in _stamps(chance, 300):
        figures = {name: chance.randrange(10**6) for name in ("age", "latency_median", "latency_max")}
        kind = chance.choice(["report", "report", "silent", "stopped", "resumed"])
        channels = chance.choice([["books"], ["trades"], ["trades", "books"], []])
        yield head | figures | {"type": kind, "channels": channels, "messages": chance.randrange(3)}
    for exchange, symbol in INSTRUMENTS:
        yield {"exchange": exchange, "symbol": symbol, "type": "stopped", "channels": [], "local_timestamp": NOW}


def _signals(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 300):
        buy, sell = chance.sample(["binance", "okx", "htx"], 2)
        lifetime = chance.randrange(40 * MINUTE)
        sides = {"buy": SIDE | {"exchange": buy}, "sell": SIDE | {"exchange": sell}}
        body = {"lifetime": lifetime, "opened_at": head["local_timestamp"] - lifetime, "peak_profit": _amount(chance)}
        kind = {"type": chance.choice(["closed", "closed", "updated"]), "peak_net_bps": chance.randrange(999) / 8}
        del head["exchange"]
        yield head | sides | body | kind


def _dead_letters(chance: random.Random) -> Iterator[Row]:
    for head in _stamps(chance, 100):
        del head["timestamp"]
        reason = chance.choice(["no JSON at {}", "price {} is negative", "no such channel"]).format(
            chance.randrange(99)
        )
        yield head | {"reason": reason, "frame_bytes": chance.randrange(1_000)}
