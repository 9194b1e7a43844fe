"""A 20-level book over HTTP, compared with a bare FastAPI route that answers the same bytes.

The API also looks the book up, computes its figures, compares versions, and checks host, origin and rate. Requests are
counted per second of the server's CPU time; the times that clients see are for eight connections.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psutil

from bench.harness import Result, from_pairs
from bench.rigs.api_server import PATH
from marketprism.local.broker import free_port
from marketprism.local.processes import is_listening

_REQUESTS = 4_000
_CONNECTIONS = 8


def measure(rounds: int = 3) -> list[Result]:
    """Measure both in turn; the first pair is a warm-up."""
    pairs = [(_measured("ours"), _measured("bare")) for _ in range(rounds + 1)][1:]
    ours, bare = zip(*pairs, strict=True)
    compared = partial(from_pairs, other_name="bare FastAPI route")
    return [
        compared(
            name="api: a 20-level book", unit="requests/s", ours=[one[0] for one in ours], others=[b[0] for b in bare]
        ),
        compared(name="api: time of 99 %", unit="ms", ours=[one[1] for one in ours], others=[b[1] for b in bare]),
    ]


def _measured(which: str) -> tuple[float, float]:
    """Return requests per second of the server's CPU time, and the time of 99 % of the requests, ms."""
    port = free_port()
    with _server(which, port) as process:
        before = sum(process.cpu_times()[:2])
        times = sorted(asyncio.run(_request_all(port)))
        spent = sum(process.cpu_times()[:2]) - before
    return len(times) / spent, times[len(times) * 99 // 100] * 1000


@contextmanager
def _server(which: str, port: int) -> Iterator[psutil.Process]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.rigs.api_server", which, str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not is_listening(port):
            time.sleep(0.05)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


async def _request_all(port: int) -> list[float]:
    """Send all requests over some connections. Return their times, s."""
    share = _REQUESTS // _CONNECTIONS
    found = await asyncio.gather(*(_request(port, share) for _ in range(_CONNECTIONS)))
    return [seconds for times in found for seconds in times]


async def _request(port: int, count: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - begin)
    writer.close()
    return times
