"""Changes of an exchange's protocol: other fields or values in a channel's messages, and paths that are gone."""

import asyncio
from typing import Any

from marketprism.simulator.plans import Change, Move, Planted, ProtocolChange
from marketprism.simulator.server.connection import Stream
from marketprism.simulator.server.tasks import Tasks


class ProtocolChanges:
    """The planted `Change` and `Move` of one feed."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._plans: list[tuple[Planted, ProtocolChange]] = []

    def plant(self, planted: Planted, plan: ProtocolChange) -> None:
        """Start a change, which ends after the plan's `seconds`."""
        self._plans.append((planted, plan))
        planted.start()
        self._tasks.spawn(self._end_later(planted, plan))

    def is_gone(self, path: str) -> bool:
        """Return whether a path answers 404, and count the request."""
        moves = [planted for planted, plan in self._plans if isinstance(plan, Move) and path == plan.path]
        for planted in moves:
            planted.count("requests")
        return bool(moves)

    def apply(self, stream: Stream, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the payload that is sent in place of one of a stream."""
        for planted, plan in self._plans:
            if isinstance(plan, Change) and stream.channel == plan.channel and stream.belongs_to(plan.symbol):
                planted.count("messages")
                payload = _changed(payload, plan)
        return payload

    async def _end_later(self, planted: Planted, plan: ProtocolChange) -> None:
        await asyncio.sleep(plan.seconds)
        self._plans.remove((planted, plan))
        planted.end()


def _changed(value: Any, plan: Change) -> Any:
    """Return a JSON value in which the field is changed wherever it appears."""
    if isinstance(value, list | tuple):
        return [_changed(each, plan) for each in value]
    if not isinstance(value, dict):
        return value
    fields = {}
    for name, each in value.items():
        if name != plan.field:
            fields[name] = _changed(each, plan)
        else:
            fields[plan.name or name] = each if plan.value is None else plan.value
    return fields
