"""Publish liquidations: those that exchanges announce, and on Deribit those that its trades are marked with."""

from streams.normalize.messages import Liquidation
from streams.output import Output
from streams.status import FeedStatus
from streams.subject import Subject
from streams.trade_ids import TradeIds


def publish_liquidation(out: Output, subject: Subject, message: Liquidation) -> None:
    """Publish one event."""
    body = out.head(subject, message.timestamp)
    body["side"] = message.side
    body["price"] = message.price
    body["average_price"] = message.average_price
    body["amount"] = message.amount
    body["sampled"] = message.sampled
    out.event("market.liquidations", subject.key, body)


class LiquidationHandler:
    """Publishes the liquidations that have a channel of their own, each once.

    They have no ids, and during a handover they arrive from two sockets. Two of the same instant, side, price and
    amount are taken for one.
    """

    __slots__ = ("_status", "_subject", "seen")

    def __init__(self, subject: Subject, status: FeedStatus) -> None:
        self._subject = subject
        self._status = status
        self.seen = TradeIds()

    def on_liquidation(self, out: Output, message: Liquidation) -> None:
        """Publish a liquidation, unless it is a duplicate."""
        health = self._status.health_of(message.channel)
        health.on_message(out.now, message.timestamp)
        if self.seen.add_id(f"{message.timestamp} {message.side} {message.price} {message.amount}"):
            publish_liquidation(out, self._subject, message)
        else:
            health.repeated += 1
