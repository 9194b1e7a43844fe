"""The planted `Mutate` of one feed: for a time, some of what it sends is mutated."""

import asyncio
from collections.abc import Callable

from marketprism.simulator.plans import Mutate, Planted
from marketprism.simulator.server.mutations import Mutator, What
from marketprism.simulator.server.tasks import Tasks


class MutationFaults:
    """`outgoing` stands before everything that is sent."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._mutator: Mutator | None = None

    def plant(self, planted: Planted, plan: Mutate) -> None:
        """Begin; a fault that is planted while another holds takes its place."""
        rare_rate = plan.rate if plan.rare_rate is None else plan.rare_rate
        self._mutator = mutator = Mutator(f"{plan.seed}:{plan.feed}", plan.rate, rare_rate)
        planted.start()
        self._tasks.spawn(self._end_later(planted, plan, mutator))

    def outgoing(self, what: What, message: bytes, pack: Callable[[bytes], bytes] | None = None) -> list[bytes]:
        """What goes out in place of a message."""
        if self._mutator is None:
            return [pack(message) if pack else message]
        return self._mutator.sent(what, message, pack)

    async def _end_later(self, planted: Planted, plan: Mutate, mutator: Mutator) -> None:
        await asyncio.sleep(plan.seconds)
        if self._mutator is mutator:
            self._mutator = None
        planted.result |= {
            "messages": mutator.messages,
            "mutated": mutator.damages.total(),
            "damages": dict(mutator.damages),
            "whats": dict(mutator.whats),
            "mutations": list(mutator.kept),
        }
        planted.end()
