"""Findings of the doctor."""

from marketprism.local import doctor
from marketprism.local.findings import Check, Finding, examine
from schemas.errors import StackError
from schemas.settings import Settings, load_settings


async def test_doctor() -> None:
    """The doctor confirms what works. What it cannot check without a network is a note."""
    unreachable = {"binance-spot": {"ws": "ws://127.0.0.1:9", "rest": "http://127.0.0.1:9"}}
    settings = load_settings(feeds="binance-spot", endpoints=unreachable)
    found = {each.name: each for each in await examine(settings, doctor.CHECKS)}
    hosts = ["binance-spot sockets", "binance-spot REST"]
    assert list(found) == ["settings", "java", "kafka jars", *hosts, "clock"]
    assert [found[name].ok for name in hosts] == [None, None]
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
