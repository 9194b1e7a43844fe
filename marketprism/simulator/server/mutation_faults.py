"""The fault `Mutate`: for some time, part of what a feed sends is mutated."""

import asyncio
from collections.abc import Callable

from marketprism.simulator.plans import Mutate, Planted
from marketprism.simulator.server.mutations import MessageKind, Mutator
from marketprism.simulator.server.tasks import Tasks


class MutationFaults:
    """The planted `Mutate` of one feed. Everything the feed sends passes through `outgoing`."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._mutator: Mutator | None = None

    def plant(self, planted: Planted, plan: Mutate) -> None:
        """Start mutating; a fault that is already running is replaced."""
        rare_rate = plan.rate if plan.rare_rate is None else plan.rare_rate
        self._mutator = mutator = Mutator(f"{plan.seed}:{plan.feed}", plan.rate, rare_rate)
        planted.start()
        self._tasks.spawn(self._end_later(planted, plan, mutator))

    def outgoing(
        self, kind: MessageKind, message: bytes, compress: Callable[[bytes], bytes] | None = None
    ) -> list[bytes]:
        """Return the messages that are sent in place of one."""
        if self._mutator is None:
            return [compress(message) if compress else message]
        return self._mutator.replace(kind, message, compress)

    async def _end_later(self, planted: Planted, plan: Mutate, mutator: Mutator) -> None:
        await asyncio.sleep(plan.seconds)
        if self._mutator is mutator:
            self._mutator = None
        planted.result |= {
            "messages": mutator.messages,
            "mutated": mutator.damages.total(),
            "damages": dict(mutator.damages),
            "whats": dict(mutator.kinds),
            "mutations": list(mutator.recorded),
        }
        planted.end()
