"""Handle the control frames of one connection."""

from collections.abc import Awaitable, Callable

import structlog

from ingest.exchanges.base import Connector, Control
from ingest.skips import Skips
from ingest.subscriptions import Subscriptions


class ControlFrames:
    """Handler of what an exchange sends besides data: answers, heartbeats and notices.

    `send(text)` sends to the socket. `on_notice(control)` is called when the exchange announces something, such as that
    it will close the connection.
    """

    def __init__(
        self,
        connector: Connector,
        subscriptions: Subscriptions,
        send: Callable[[str], Awaitable[None]],
        on_notice: Callable[[Control], None],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._connector = connector
        self._subscriptions = subscriptions
        self._send = send
        self._on_notice = on_notice
        self._skips = Skips(connector.name, connector.feed.exchange)
        self._log = log

    async def handle(self, frame: bytes) -> None:
        """Reply to a control frame and handle it. Whatever it contains, it does not end the connection."""
        control = self._connector.parse_control(frame)
        if control.reply:
            await self._send(control.reply)
        try:
            self._handle(control, frame)
        except Exception:  # noqa: BLE001 - the next frame may be fine
            self._log.exception("internal error on a control frame", frame=frame[:300].decode(errors="replace"))

    def _handle(self, control: Control, frame: bytes) -> None:
        if control.kind == "acknowledged":
            self._subscriptions.on_acknowledged(control)
        elif control.kind == "rejected":
            self._subscriptions.on_rejected(control)
        elif control.kind == "subscriptions":
            self._subscriptions.on_subscription_list(control)
        elif control.kind in ("closing", "notice"):
            self._on_notice(control)
        elif control.kind == "unknown":
            self._skips.report("unknown control frame", frame[:200].decode(errors="replace"))
