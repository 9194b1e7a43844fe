"""Follow which feeds can be reached while the system starts and runs, and say so (`marketprism live`).

Ingest keeps trying by itself, whatever is found here: this only tells the user. The uplinks are tried in a process of
its own, as a name server that does not answer blocks threads, for which neither the start nor Ctrl-C may wait.
"""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Collection

import msgspec
import structlog

from ingest.supervision import supervise
from marketprism.local.reach_text import describe, shortly, verdict
from marketprism.local.reachability import Reach
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_COMMAND = (sys.executable, "-m", "marketprism.local.reachability")
_CHECK_EVERY = 1.0  # s
_PAUSES = (5.0, 60.0)  # s; the first and the longest until feeds without data are tried again


class ReachWatch:
    """Watch of the feeds' uplinks. `say(text)` tells the user something.

    `problems`: why each feed that was tried cannot be reached, in a few words; empty for one that can. `delivering`
    returns the feeds that are connected now.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.problems: dict[str, str] = {}
        self.say = say
        self.delivering: Callable[[], Collection[str]] = tuple
        self._settings = settings
        self._feeds = [feed for feed in settings.feeds if settings.selection_of(feed)]

    async def run(self) -> None:
        """Try all feeds, and then those without data again and again, until cancelled. After an error, begin again."""
        await supervise("reachability", self._watch, log)

    async def _watch(self) -> None:
        await self._try(self._feeds, self._say_first)
        if self.problems:
            self.say(verdict(self.problems))
        pause, longest = _PAUSES
        while True:
            await self._follow(pause)
            delivering = self.delivering()
            missing = [feed for feed in self._feeds if feed not in delivering]
            await self._try(missing, self._say_change)
            pause = min(2 * pause, longest) if missing else _PAUSES[0]

    async def _follow(self, seconds: float) -> None:
        """Wait, and meanwhile note which feeds have come back: their data is the proof."""
        for _ in range(round(seconds / _CHECK_EVERY)):
            await asyncio.sleep(_CHECK_EVERY)
            for feed in self.delivering():
                self._note(feed, "")

    def _say_first(self, reach: Reach) -> None:
        self.problems[reach.feed] = shortly(reach)
        self.say(describe(reach))

    def _say_change(self, reach: Reach) -> None:
        self._note(reach.feed, shortly(reach))

    def _note(self, feed: str, problem: str) -> None:
        before = self.problems.get(feed, "")
        self.problems[feed] = problem
        if before and not problem:
            self.say(f"{feed} can be reached now.")
        elif problem and not before:
            self.say(f"{feed} cannot be reached any more: {problem}.")

    async def _try(self, feeds: Collection[str], on_tried: Callable[[Reach], None]) -> None:
        if not feeds:
            return
        child = await asyncio.create_subprocess_exec(
            *_COMMAND, *feeds, env={**os.environ, **self._settings.environment()}, stdin=DEVNULL, stdout=PIPE,
            stderr=DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert child.stdout
        try:
            async for line in child.stdout:
                on_tried(msgspec.json.decode(line, type=Reach))
            if code := await child.wait():
                log.warning("cannot try the exchanges' hosts: run `marketprism doctor`", exit_code=code)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
