"""Track one cross-exchange opportunity: `opened` → `updated` (at each new peak) → `closed`."""

from decimal import Decimal
from typing import Any

from streams.arbitrage.execution import Execution
from streams.arbitrage.quotes import PairQuote
from streams.arbitrage.statistics import SpreadStatistics
from streams.decimals import plain


class Opportunity:
    """An open opportunity: both sides as they were when it last paid, and its peaks."""

    def __init__(self, symbol: str, opened_at: int) -> None:
        self.symbol = symbol
        self.opened_at = opened_at
        self.sides: dict[str, dict[str, Any]] = {}
        self.gross = self.net = 0.0
        self.amount = self.profit = "0"
        self.peak_net = 0.0
        self.peak_amount = self.peak_profit = "0"

    def take(self, buy: PairQuote, sell: PairQuote, gross: float, net: float, execution: Execution) -> bool:
        """Update the opportunity. Return whether its profit is the highest so far."""
        self.gross, self.net = gross, net
        self.amount, self.profit = plain(execution.amount), plain(execution.profit)
        self.sides = {
            "buy": _side(buy, buy.best_ask(), plain(execution.buy_price)),
            "sell": _side(sell, sell.best_bid(), plain(execution.sell_price)),
        }
        self.peak_net = max(self.peak_net, net)
        if Decimal(self.profit) <= Decimal(self.peak_profit):  # both rounded as published
            return False
        self.peak_amount, self.peak_profit = self.amount, self.profit
        return True

    def refresh(self, buy: PairQuote, sell: PairQuote) -> None:
        """Take the states and times of the quotes that close it. The prices stay those that last paid."""
        for name, quote in (("buy", buy), ("sell", sell)):
            side = self.sides[name]
            self.sides[name] = _side(quote, side["price"], side["average_price"])

    def signal(self, kind: str, reason: str, now: int, statistics: SpreadStatistics) -> dict[str, Any]:
        """Return the event's body, without its source."""
        buy, sell = self.sides["buy"], self.sides["sell"]
        return {
            "id": f"{self.symbol}:{buy['exchange']}:{sell['exchange']}:{self.opened_at}",
            "symbol": self.symbol,
            "type": kind,
            "reason": reason,
            "timestamp": max(buy["timestamp"], sell["timestamp"]),
            "local_timestamp": now,
            "opened_at": self.opened_at,
            "lifetime": max(now - self.opened_at, 0),
            "buy": buy | {"age": now - buy["local_timestamp"]},
            "sell": sell | {"age": now - sell["local_timestamp"]},
            "gross_bps": round(self.gross, 4),
            "net_bps": round(self.net, 4),
            "amount": self.amount,
            "profit": self.profit,
            "peak_net_bps": round(self.peak_net, 4),
            "peak_amount": self.peak_amount,
            "peak_profit": self.peak_profit,
        } | statistics.describe(self.gross)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return vars(self)

    @classmethod
    def load(cls, fields: dict[str, Any]) -> "Opportunity":
        """Return the opportunity of a checkpoint."""
        opportunity = cls(fields["symbol"], fields["opened_at"])
        vars(opportunity).update(fields)
        return opportunity


def _side(quote: PairQuote, price: str, average_price: str) -> dict[str, Any]:
    return {
        "exchange": quote.exchange,
        "source": quote.line.source,
        "origin": quote.line.origin,
        "sequence": quote.line.sequence,
        "book": quote.state,
        "price": price,
        "average_price": average_price,
        "timestamp": quote.line.timestamp,
        "local_timestamp": quote.at,
        "age": 0,
        "fee_bps": quote.fee,
    }
