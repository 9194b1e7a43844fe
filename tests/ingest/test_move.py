"""A move between two connections ends well, or leaves everything where it was."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ingest import move as moving
from ingest.connection import Connection
from ingest.move import UNSTEADY, move


def connection(**changes: Any) -> Any:
    """Return a connection that notes what it is told in `calls`."""
    calls: list[str] = []
    marked: list[str] = []

    def mark(symbols: list[str], marker_of: Any) -> None:
        marked.extend(symbols)
        calls.append(marker_of(["books"]).type)

    made = SimpleNamespace(
        calls=calls,
        marked=marked,
        instruments=["BTCUSDT"],
        is_steady=True,
        open=True,
        subscriptions=SimpleNamespace(all_flowing=lambda: True),
        take_over=lambda symbols, other: calls.append("take over"),
        finish_handover=lambda: calls.append("finish"),
        abort_handover=lambda: calls.append("abort"),
        mark=mark,
    )
    made.__dict__.update(changes)
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all waits."""
    for name, seconds in (("TIMEOUT", 0.05), ("OVERLAP", 0.0), ("_CHECK_EVERY", 0.001)):
        monkeypatch.setattr(moving, name, seconds)


async def moved(old: Any, new: Any) -> str:
    return await move(["BTCUSDT"], [(cast(Connection, old), cast(Connection, new))], "requested")


async def test_moved() -> None:
    """The new connection takes over, and is marked to have done so."""
    new = connection()
    assert await moved(connection(), new) == ""
    assert new.calls == ["take over", "finish", "renewed"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({}, {"subscriptions": SimpleNamespace(all_flowing=lambda: False)}, "not everything flows"),
        ({"is_steady": False}, {}, UNSTEADY),
        ({}, {"is_steady": False}, UNSTEADY),
    ],
)
async def test_aborted(old: dict[str, Any], new: dict[str, Any], reason: str) -> None:
    """Without data, or if a socket is lost or replaced meanwhile, the old connection keeps everything."""
    target = connection(**new)
    assert await moved(connection(**old), target) == reason
    assert target.calls == ["take over", "abort"]


async def test_a_lost_socket() -> None:
    """When it closed, the new connection reported the instruments' channels as lost: the old one still serves them."""
    old = connection()
    assert await moved(old, connection(is_steady=False, open=False)) == UNSTEADY
    assert old.calls == ["connected"]
    both = connection(is_steady=False, open=False)
    assert await moved(both, connection(is_steady=False, open=False)) == UNSTEADY
    assert both.calls == []
    delisted = connection(instruments=[])
    assert await moved(delisted, connection(is_steady=False, open=False)) == UNSTEADY
    assert delisted.marked == []
