"""Made events of the busiest tables, as the workers publish them."""

import random

import orjson

BEGIN_US = 1_723_075_200_000_000  # 2024-08-08, µs


def _levels(chance: random.Random, count: int) -> list[list[str]]:
    return [[f"{60_000 + chance.random() * 100:.2f}", f"{chance.random() * 3:.5f}"] for _ in range(count)]


def event(table: str, number: int, chance: random.Random) -> bytes:
    """Return one event, number `number` of its topic partition."""
    head = {
        "source": f"binance:0:{number // 4}:{number % 4}:0",
        "exchange": "binance",
        "symbol": chance.choice(["BTC-USDT", "ETH-USDT"]),
        "timestamp": BEGIN_US + number * 1_000,
        "local_timestamp": BEGIN_US + number * 1_000 + 1_234,
    }
    if table == "trades":
        price, amount = _levels(chance, 1)[0]
        side = chance.choice(["buy", "sell"])
        return orjson.dumps(
            head
            | {"id": str(number), "price": price, "amount": amount, "side": side, "kind": "normal"}
            | {"exchange_amount": amount}
        )
    depth = 5 if table == "quotes" else 34
    kind = {"origin": "book"} if table == "quotes" else {"type": "update"}
    previous = {} if table == "quotes" else {"previous": number}
    sides = {"bids": _levels(chance, depth), "asks": _levels(chance, depth)}
    return orjson.dumps(head | kind | {"sequence": number + 1} | previous | sides)
