"""Findings of the doctor."""

from marketprism.local import doctor
from marketprism.local.findings import Check, Finding, examine
from schemas.errors import StackError
from schemas.settings import Settings, load_settings


async def test_doctor() -> None:
    """The doctor confirms what works. What it cannot check without a network is a note."""
    unreachable = {"binance-spot": {"rest": "http://127.0.0.1:9"}}
    found = {each.name: each for each in await examine(load_settings(endpoints=unreachable), doctor.CHECKS)}
    assert list(found) == ["settings", "java", "kafka jars", "clock"]
    assert found["java"].ok
    assert found["kafka jars"].ok
    assert found["clock"].ok is None


async def test_a_check_that_fails_is_a_problem() -> None:
    """The other checks go on."""

    async def fails(settings: Settings) -> list[Finding]:
        raise StackError("no broker")

    async def works(settings: Settings) -> list[Finding]:
        return [Finding("second", True, "fine")]

    checks: list[Check] = [("first", fails), ("second", works)]
    assert await examine(load_settings(), checks) == [
        Finding("first", False, "no broker"),
        Finding("second", True, "fine"),
    ]
