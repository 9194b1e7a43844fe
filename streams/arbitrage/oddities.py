"""Events about pairs of quotes that are no opportunities: bodies without their source."""

from typing import Any

from schemas.dead_letters import dead_letter
from schemas.keys import UNKNOWN
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
    """Return the dead letter of something that is not a line of the join's topic."""
    return dead_letter(UNKNOWN, UNKNOWN, 0, topic, f"not a line of the join: {error!s:.300}", line)


def out_of_range(symbol: str, now: int, topic: str, reason: str, buy: PairQuote, sell: PairQuote) -> dict[str, Any]:
    """Return the dead letter of two quotes whose executable amount fits no column; its frame is both quotes."""
    reason = f"buying on {buy.exchange}, selling on {sell.exchange}: {reason}"
    return dead_letter(buy.exchange, symbol, now, topic, reason, buy.json + b"\n" + sell.json)
