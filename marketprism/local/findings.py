"""Findings of checks: what was examined, and whether it is well."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from aiokafka.errors import KafkaError

from schemas.errors import MarketPrismError
from schemas.settings import Settings

_TIMEOUT = 15.0  # s for one check


class Finding(NamedTuple):
    """Result of one check. `ok` is None for a note that is not a problem. `value`: the figure in the text, if any."""

    name: str
    ok: bool | None
    text: str
    value: float | None = None
    unit: str = ""


Check = tuple[str, Callable[[Settings], Awaitable[Iterable[Finding]]]]


async def examine(settings: Settings, checks: Iterable[Check]) -> list[Finding]:
    """Run checks one after the other. One that fails is a problem."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            async with asyncio.timeout(_TIMEOUT):
                findings += await check(settings)
        except TimeoutError:
            findings.append(Finding(name, False, f"no answer within {_TIMEOUT:.0f} s"))
        except (MarketPrismError, KafkaError, OSError) as error:
            findings.append(Finding(name, False, str(error) or type(error).__name__))
    return findings
