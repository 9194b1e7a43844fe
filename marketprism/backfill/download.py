"""Download public data files, check them against their published hash, and read their lines in parts."""

import asyncio
import hashlib
import re
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice
from typing import IO

import aiohttp
import structlog

from ingest.rest import RestPool
from ingest.supervision import backoff_delay
from ingest.uplink_failures import REST_ERRORS, cannot_connect
from ingest.uplinks import Uplink, Uplinks
from schemas.errors import ExchangeError

log = structlog.get_logger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_ATTEMPTS = 6
_LONGEST_WAIT = 15.0  # s
_PART = 1 << 20  # bytes
_LINES, _BYTES = 5_000, 400_000  # of one page
_HASH = re.compile(rb"\s*([0-9a-fA-F]{64})\b")


class Downloads:
    """Downloads from one host, directly or through proxies."""

    def __init__(self, uplinks: Uplinks, pool: RestPool) -> None:
        self._uplinks = uplinks
        self._pool = pool

    @asynccontextmanager
    async def file(self, path: str) -> AsyncIterator[IO[bytes] | None]:
        """Yield a checked file, which is deleted at the end; None if the host has none of that name.

        Raise `ExchangeError` if it cannot be read, or is not the one that was published.
        """
        with tempfile.TemporaryFile() as target:
            yield target if await self._fetch(path, target) else None

    async def _fetch(self, path: str, target: IO[bytes]) -> bool:
        for attempt in range(_ATTEMPTS):
            uplink = self._uplinks.choose()
            try:
                return await self._fetch_once(uplink, path, target)
            except (*REST_ERRORS, _WrongHashError) as error:
                if cannot_connect(error):
                    self._uplinks.on_failed(uplink, uplink.failure_of(error))
                if attempt == _ATTEMPTS - 1:
                    raise ExchangeError(f"cannot read {uplink.host}{path}: {error or 'timeout'}") from None
                log.warning("download failed: trying again", path=path, reason=str(error) or "timeout")
                await asyncio.sleep(min(backoff_delay(attempt), _LONGEST_WAIT))
        raise AssertionError("unreachable")

    async def _fetch_once(self, uplink: Uplink, path: str, target: IO[bytes]) -> bool:
        published = await self._published_hash(uplink, path)
        if published is None:
            return False
        found = hashlib.sha256()
        target.seek(0)
        target.truncate()
        async with self._get(uplink, path) as response:
            if response.status == 404:
                return False
            response.raise_for_status()
            async for part in response.content.iter_chunked(_PART):
                found.update(part)
                await asyncio.to_thread(target.write, part)
        if found.hexdigest() != published:
            raise _WrongHashError(f"its SHA-256 is {found.hexdigest()}, and {published} was published")
        return True

    async def _published_hash(self, uplink: Uplink, path: str) -> str | None:
        async with self._get(uplink, f"{path}.CHECKSUM") as response:
            if response.status == 404:
                return None
            response.raise_for_status()
            text = await response.content.read(1024)
        found = _HASH.match(text)
        if found is None:
            raise _WrongHashError(f"its .CHECKSUM holds no SHA-256: {text[:80]!r}")
        return found[1].decode().lower()

    def _get(self, uplink: Uplink, path: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._pool.session(uplink.proxy).get(uplink.host + path, timeout=_TIMEOUT)


class _WrongHashError(Exception):
    """A file is not the one that was published, as when only a part of it arrived."""


def lines_of(file: IO[bytes], name: str) -> Iterator[list[str]]:
    """Yield the lines of the only file in a zip archive, some at a time. Raise `ExchangeError` if it is not such."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as unzipped:
            while lines := [line.decode().rstrip("\r\n") for line in _some(unzipped)]:
                yield [line for line in lines if line]
    except (zipfile.BadZipFile, IndexError, UnicodeError, OSError) as error:
        raise ExchangeError(f"{name} is not a zip file with lines of text: {error}") from None


def _some(unzipped: IO[bytes]) -> Iterator[bytes]:
    size = 0
    for line in islice(iter(lambda: unzipped.readline(_BYTES), b""), _LINES):
        yield line
        size += len(line)
        if size > _BYTES:
            return
