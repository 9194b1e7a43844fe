"""An outage of the broker is one line when it begins and one when it ends."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from marketprism.local.broker import Broker, free_port
from schemas.logs import broker_watch
from schemas.logs.broker_watch import BrokerWatch, why_unavailable


class Probe:
    """Broker whose answers the test puts into a queue; after the last one it is asked no more."""

    def __init__(self) -> None:
        self.answers: queue.Queue[str] = queue.Queue()
        self.asked = 0

    def __call__(self, kafka: str) -> str:
        self.asked += 1
        return self.answers.get(timeout=10)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    monkeypatch.setattr(broker_watch, "_EVERY", 0.0)
    monkeypatch.setattr(broker_watch, "_NOT_BEFORE", 0.0)
    yield Probe()
    assert not watching()


def watching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "broker watch k:1"]


def answer(probe: Probe, *answers: str) -> None:
    """Give these answers, and wait until the watch has ended."""
    for each in answers:
        probe.answers.put(each)
    for thread in watching():
        thread.join(10)


def in_seconds(monkeypatch: pytest.MonkeyPatch, *times: float) -> Callable[[], None]:
    """Let the clock stand at each of these times in turn; return the function that moves it on."""
    ahead = iter(times)
    now = [next(ahead)]
    monkeypatch.setattr("schemas.logs.broker_watch.time.monotonic", lambda: now[0])
    return lambda: now.__setitem__(0, next(ahead))


def test_one_pair_for_an_outage(probe: Probe) -> None:
    """However many signs there are, from whichever thread, one thread asks, and two lines are logged."""
    watch = BrokerWatch("k:1", probe)
    with capture_logs() as logs:
        watch.suspect("first")
        for _ in range(100):
            watch.suspect("more")
        threads = [threading.Thread(target=watch.suspect, args=("more",)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(watching()) == 1
        answer(probe, "Connection refused", "Connection refused", "no answer within 5 s", "")
    assert [(entry["event"], entry["log_level"], entry["kafka"]) for entry in logs] == [
        ("broker unavailable", "warning", "k:1"),
        ("broker back", "warning", "k:1"),
    ]
    assert logs[0]["reason"] == "Connection refused"
    assert logs[1]["seconds"] >= 0
    assert probe.asked == 4


def test_signs_after_the_outage(probe: Probe) -> None:
    """What clients report until they have recovered is no second outage; a real one is."""
    watch = BrokerWatch("k:1", probe)
    with capture_logs() as logs:
        watch.suspect("gone")
        answer(probe, "refused", "")
        watch.suspect("the coordinator is still loading")
        answer(probe, "")
        assert len(logs) == 2
        watch.suspect("gone again")
        answer(probe, "refused", "")
    assert [entry["event"] for entry in logs] == ["broker unavailable", "broker back"] * 2


def test_a_watch_that_is_retired_ends(probe: Probe) -> None:
    """Once another broker is used, nothing is logged of the old one."""
    watch = BrokerWatch("k:1", probe)
    with capture_logs() as logs:
        watch.suspect("gone")
        watch.retire()
        answer(probe, "refused")
    assert [entry["event"] for entry in logs] == ["broker unavailable"]


def test_signs_that_persist_although_the_broker_answers(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs for more than 10 s are logged, every 30 s; a single one, or one now and then, is not."""
    times = [float(second) for second in (0, 5, 9, 11, 20, 30, 39, 42, 60, 80)]
    move = in_seconds(monkeypatch, *times)
    watch = BrokerWatch("k:1", probe)
    logged = []
    for number, second in enumerate(times):
        with capture_logs() as logs:
            watch.suspect(f"sign at {second:.0f}")
            answer(probe, "")
        logged += [entry["error"] for entry in logs]
        if number < len(times) - 1:
            move()
    assert logged == ["sign at 11", "sign at 42"]


def test_probe_of_a_real_broker(broker: Broker) -> None:
    """A broker that answers is available, also as the second of two addresses."""
    assert why_unavailable(broker.bootstrap) == ""
    assert why_unavailable(f"127.0.0.1:{free_port()}, {broker.bootstrap}") == ""


def test_probe_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port, a port that accepts and says nothing, one that hangs up, and nonsense are each a reason."""
    assert why_unavailable(f"127.0.0.1:{free_port()}") == "Connection refused"
    assert "invalid literal" in why_unavailable("nowhere")
    monkeypatch.setattr(broker_watch, "_ANSWERS_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert why_unavailable(address) == "no answer within 0 s"
        threading.Thread(target=_hang_up, args=(server,)).start()
        assert why_unavailable(address) in ("connection closed", "Connection reset by peer")


def _hang_up(server: socket.socket) -> None:
    for _ in range(2):  # the first is from before
        server.accept()[0].close()
