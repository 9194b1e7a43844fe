"""The windowed join alone, with quotes of one symbol on several exchanges, compared with decoding the same lines."""

import random

import orjson

from bench.harness import Result, compare, per_second
from schemas.settings import Settings, load_settings
from streams.arbitrage.join import JoinProcessor

_QUOTES = 40_000
_QUOTES_PER_RECORD = 20
_EXCHANGES = (2, 6, 20)


class _AnyExchange(Settings):
    """Settings with a fee for exchanges that do not exist."""

    def taker_fee_bps(self, exchange: str, symbol: str) -> float:
        return 10.0


def _lines(exchanges: int) -> list[bytes]:
    """Return quotes of five levels a side, 0.1 ms apart, which differ by less than the fees, as most real ones do."""
    chance, lines = random.Random(exchanges), []
    for number in range(_QUOTES):
        name, now = f"exchange{number % exchanges}", 1_790_000_000_000_000 + number * 100
        middle = 60_000 + chance.random() * 10
        offset, line = divmod(number, _QUOTES_PER_RECORD)
        quote = {
            "source": f"{name}:0:{offset}:{line}:0", "exchange": name, "symbol": "BTC-USDT",
            "timestamp": now, "local_timestamp": now, "origin": "bbo", "sequence": number,
            "bids": [[f"{middle - 1 - rank:.2f}", "1.5"] for rank in range(5)],
            "asks": [[f"{middle + 1 + rank:.2f}", "1.5"] for rank in range(5)],
        }  # fmt: skip
        lines.append(b"live\t" + orjson.dumps(quote))
    return lines


def measure() -> list[Result]:
    """Measure the join of several numbers of exchanges."""
    settings, results = _AnyExchange(**load_settings().model_dump()), []
    for exchanges in _EXCHANGES:
        lines = _lines(exchanges)
        starts = range(0, _QUOTES, _QUOTES_PER_RECORD)
        values = [b"\n".join(lines[start : start + _QUOTES_PER_RECORD]) for start in starts]

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
