"""Events about pairs of quotes that are no opportunities: bodies without their source."""

from typing import Any

from schemas.dead_letters import readable
from schemas.limits import MAX_DEAD_FRAME
from schemas.raw import UNKNOWN
from streams.arbitrage.quotes import PairQuote


def implausible(now: int, buy: PairQuote, sell: PairQuote, gross: float) -> dict[str, Any]:
    """The `market.status` event of two prices that cannot be of the same coin, under the cheaper one's instrument."""
    return {
        "exchange": buy.exchange,
        "symbol": buy.line.symbol,
        "timestamp": max(buy.line.timestamp, sell.line.timestamp),
        "local_timestamp": now,
        "type": "implausible",
        "channels": ["quotes"],
        "reason": f"{buy.exchange}:{buy.line.symbol} asks {buy.best_ask()}, "
        f"{sell.exchange}:{sell.line.symbol} bids {sell.best_bid()}: {gross:.0f} bps",
        "messages": 0,
        "repeated": 0,
        "age": 0,
        "latency_median": 0,
        "latency_max": 0,
        "clock_offset": 0,
        "round_trip": 0,
        "reconnects": 0,
        "renewals": 0,
    }


def malformed(topic: str, line: bytes, error: Exception) -> dict[str, Any]:
    """The dead letter of a line of the join's topic that is none."""
    encoding, frame = readable(line[:MAX_DEAD_FRAME])
    return {
        "exchange": UNKNOWN,
        "symbol": UNKNOWN,
        "local_timestamp": 0,
        "topic": topic,
        "reason": f"not a line of the join: {error!s:.300}",
        "encoding": encoding,
        "frame": frame,
        "frame_bytes": len(line),
    }


def out_of_range(symbol: str, now: int, topic: str, reason: str, buy: PairQuote, sell: PairQuote) -> dict[str, Any]:
    """The dead letter of two quotes of which the executable amount fits no column; its frame is both."""
    frame = buy.json + b"\n" + sell.json
    return {
        "exchange": buy.exchange,
        "symbol": symbol,
        "local_timestamp": now,
        "topic": topic,
        "reason": f"buying on {buy.exchange}, selling on {sell.exchange}: {reason}",
        "encoding": "text",
        "frame": frame[:MAX_DEAD_FRAME].decode(errors="replace"),
        "frame_bytes": len(frame),
    }
