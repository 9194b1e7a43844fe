"""Publish liquidations: those that exchanges announce, and on Deribit those that its trades are marked with."""

from streams.normalize.messages import Liquidation
from streams.output import Output
from streams.status import FeedStatus
from streams.subject import Subject


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
    """Publishes the liquidations that have a channel of their own."""

    __slots__ = ("_status", "_subject")

    def __init__(self, subject: Subject, status: FeedStatus) -> None:
        self._subject = subject
        self._status = status

    def on_liquidation(self, out: Output, message: Liquidation) -> None:
        """Publish a liquidation."""
        self._status.health_of(message.channel).on_message(out.now, message.timestamp)
        publish_liquidation(out, self._subject, message)
