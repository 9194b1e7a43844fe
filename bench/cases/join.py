"""The windowed join alone: quotes of one symbol on several exchanges, against decoding the same lines."""

import random

import orjson

from bench.harness import Result, compare, per_second
from schemas.settings import Settings, load_settings
from streams.arbitrage.join import JoinProcessor

_QUOTES, _EACH = 40_000, 20  # quotes in all, and of a record
_EXCHANGES = (2, 6, 20)


class _AnyExchange(Settings):
    def taker_fee_bps(self, exchange: str, symbol: str) -> float:
        return 10.0


def _lines(exchanges: int) -> list[bytes]:
    """Quotes of five levels a side, in turn and 0.1 ms apart, around one price: within the fees, as they mostly are."""
    chance, lines = random.Random(exchanges), []
    for number in range(_QUOTES):
        name, now = f"exchange{number % exchanges}", 1_790_000_000_000_000 + number * 100
        middle = 60_000 + chance.random() * 10
        quote = {
            "source": f"{name}:0:{number // _EACH}:{number % _EACH}:0", "exchange": name, "symbol": "BTC-USDT",
            "timestamp": now, "local_timestamp": now, "origin": "bbo", "sequence": number,
            "bids": [[f"{middle - 1 - rank:.2f}", "1.5"] for rank in range(5)],
            "asks": [[f"{middle + 1 + rank:.2f}", "1.5"] for rank in range(5)],
        }  # fmt: skip
        lines.append(b"live\t" + orjson.dumps(quote))
    return lines


def measure() -> list[Result]:
    settings, results = _AnyExchange(**load_settings().model_dump()), []
    for exchanges in _EXCHANGES:
        lines = _lines(exchanges)
        values = [b"\n".join(lines[at : at + _EACH]) for at in range(0, _QUOTES, _EACH)]

        def ours(values: list[bytes] = values) -> None:
            partition = JoinProcessor(0, settings)
            for offset, value in enumerate(values):
                partition.process(offset, value)

        def floor(lines: list[bytes] = lines) -> None:
            for line in lines:
                orjson.loads(line[5:])

        name = f"join of {exchanges} exchanges"
        ours_timed, floor_timed = per_second(_QUOTES, ours), per_second(_QUOTES, floor)
        results.append(compare(name, "quotes/s", ours_timed, "orjson alone", floor_timed))
    return results
