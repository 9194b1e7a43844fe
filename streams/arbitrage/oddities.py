"""Build the events about quotes that cannot be judged, without their source."""

from typing import Any

from schemas.dead_letters import dead_letter
from schemas.keys import UNKNOWN, key_of
from streams.arbitrage.quotes import PairQuote
from streams.status import status_fields


def implausible(now: int, buy: PairQuote, sell: PairQuote, gross: float) -> dict[str, Any]:
    """Return the `market.status` event of two prices that cannot be of the same coin, under the cheaper instrument."""
    reason = (
        f"{key_of(buy.exchange, buy.line.symbol)} asks {buy.best_ask()}, "
        f"{key_of(sell.exchange, sell.line.symbol)} bids {sell.best_bid()}: {gross:.0f} bps"
    )
    return {
        "exchange": buy.exchange,
        "symbol": buy.line.symbol,
        "timestamp": max(buy.line.timestamp, sell.line.timestamp),
        "local_timestamp": now,
    } | status_fields("implausible", ["quotes"], reason)


def malformed(topic: str, line: bytes, error: Exception) -> dict[str, Any]:
    """Return the dead letter of something that is not a line of the join's topic."""
    return dead_letter(UNKNOWN, UNKNOWN, 0, topic, f"not a line of the join: {error!s:.300}", line)


def out_of_range(symbol: str, now: int, topic: str, reason: str, buy: PairQuote, sell: PairQuote) -> dict[str, Any]:
    """Return the dead letter of two quotes whose executable amount fits no column; its frame is both quotes."""
    reason = f"buying on {buy.exchange}, selling on {sell.exchange}: {reason}"
    return dead_letter(buy.exchange, symbol, now, topic, reason, buy.json + b"\n" + sell.json)
