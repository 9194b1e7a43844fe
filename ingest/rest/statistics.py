"""Count the requests to each endpoint: calls, failures, latency."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import structlog

log = structlog.get_logger(__name__)

_REPORT_EVERY = 300.0  # s
_SAMPLES = 512  # latest latencies of an endpoint that are kept


class Figures(NamedTuple):
    """Requests to one endpoint since the last report. Latencies in ms, from sending to the end of the body."""

    calls: int
    failures: int
    latency_median_ms: float
    latency_max_ms: float


class _Endpoint:
    def __init__(self) -> None:
        self.calls = self.failures = 0
        self.max = 0.0
        self.samples: deque[float] = deque(maxlen=_SAMPLES)

    def add(self, latency_ms: float, failed: bool) -> None:
        self.calls += 1
        self.failures += failed
        self.max = max(self.max, latency_ms)
        self.samples.append(latency_ms)

    def figures(self) -> Figures:
        return Figures(self.calls, self.failures, round(median(self.samples), 1), round(self.max, 1))


class Statistics:
    """Statistics of one feed's requests, by path."""

    def __init__(self, feed: str) -> None:
        self._endpoints: dict[str, _Endpoint] = {}
        self._log = log.bind(feed=feed)

    @contextmanager
    def measure(self, path: str) -> Iterator[None]:
        """Count what happens in the block as one call. A cancelled one does not count."""
        began = time.monotonic()
        try:
            yield
        except Exception:
            self._add(path, began, failed=True)
            raise
        self._add(path, began, failed=False)

    def _add(self, path: str, began: float, failed: bool) -> None:
        endpoint = self._endpoints.setdefault(path, _Endpoint())
        endpoint.add((time.monotonic() - began) * 1000, failed)

    def figures(self) -> dict[str, Figures]:
        """Return the figures since the last report, by path."""
        return {path: endpoint.figures() for path, endpoint in self._endpoints.items()}

    def report(self) -> None:
        """Log the figures, and start over."""
        for path, figures in self.figures().items():
            self._log.info("requests", path=path, **figures._asdict())
        self._endpoints.clear()

    async def run(self) -> None:
        """Report every five minutes until cancelled."""
        while True:
            await asyncio.sleep(_REPORT_EVERY)
            self.report()
