"""Circuit breaker: requests that were under way when the host went down do not decide about the probe."""

import asyncio
from contextlib import ExitStack, suppress

import pytest

from ingest.rest.breaker import Breaker
from schemas.errors import ExchangeError
from tests.ingest.virtual_time import VirtualTime


class Attempt:
    """Attempt that is under way from its creation until it succeeds, fails, or is cancelled."""

    def __init__(self, breaker: Breaker) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(breaker.attempt())

    def succeed(self) -> None:
        self._stack.close()

    def end(self, error: BaseException) -> None:
        with suppress(type(error)), self._stack:
            raise error

    def fail(self) -> None:
        self.end(TimeoutError("no answer"))


class Bench:
    """Breaker that has just opened, as five attempts have failed while two `older` ones are still under way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = VirtualTime(monkeypatch)
        self.changes: list[bool] = []
        self.breaker = Breaker("a-host", lambda up, reason: self.changes.append(up))
        self.older = [Attempt(self.breaker) for _ in range(2)]
        for attempt in [Attempt(self.breaker) for _ in range(5)]:
            attempt.fail()
        assert self.changes == [False]

    def is_open(self) -> bool:
        try:
            self.breaker.check()
        except ExchangeError:
            return True
        return False

    def probe(self) -> Attempt:
        """Return the probe, after the first pause."""
        self.clock.elapsed += 5.1
        return Attempt(self.breaker)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_an_older_failure_does_not_fail_the_probe(bench: Bench) -> None:
    """The host is up again when the probe succeeds, whatever older requests came to."""
    probe = bench.probe()
    bench.older[0].fail()
    assert bench.is_open()  # the probe is still the only one
    probe.succeed()
    assert bench.changes == [False, True]
    assert not bench.is_open()


def test_an_older_success_does_not_close(bench: Bench) -> None:
    """The host stays down until the probe succeeds, and the pause doubles when it fails."""
    bench.older[0].succeed()
    assert bench.is_open()
    probe = bench.probe()
    bench.older[1].succeed()
    assert bench.is_open()
    probe.fail()
    assert bench.changes == [False]
    bench.clock.elapsed += 5.1
    assert bench.is_open()
    bench.clock.elapsed += 5.0
    assert not bench.is_open()


def test_an_older_request_outlives_the_break(bench: Bench) -> None:
    """A request from before the break does not count after it: neither as a failure, nor against those of others."""
    bench.probe().succeed()
    for attempt in [Attempt(bench.breaker) for _ in range(4)]:
        attempt.fail()
    bench.older[0].fail()
    assert not bench.is_open()
    bench.older[1].succeed()
    Attempt(bench.breaker).fail()
    assert bench.changes == [False, True, False]


def test_a_cancelled_probe_is_followed_by_another(bench: Bench) -> None:
    """A probe that we give up ourselves leaves its place to the next attempt."""
    bench.probe().end(asyncio.CancelledError())
    assert not bench.is_open()
    Attempt(bench.breaker).succeed()
    assert bench.changes == [False, True]
