"""Download Apache Kafka's jars from Maven, verify them against the lock, and keep them in the user's cache.

`python -m marketprism.local.jars` downloads the missing ones with a progress bar.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from jgo.maven import MavenContext
from requests import RequestException
from rich.progress import track

from schemas.errors import MarketPrismError, StackError

LOCK = Path(__file__).with_name("kafka.lock")


class Jar(NamedTuple):
    """One locked jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """Parse the lock, which has lines of the form `group:artifact:version sha256`."""
    rows = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(*row.replace(" ", ":").split(":")) for row in rows]


def jar_folder() -> Path:
    """Return the cache folder of the locked jars."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "marketprism" / f"kafka-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"


def missing_jars() -> list[Jar]:
    """Return the locked jars that are not in the cache."""
    return [jar for jar in locked_jars() if not (jar_folder() / jar.name).exists()]


def classpath() -> str:
    """Return the class path of a broker. Raise `StackError` if jars are missing."""
    if missing_jars():
        raise StackError("Apache Kafka's jars are missing: `.venv/bin/python -m marketprism.local.jars` downloads them")
    return str(jar_folder() / "*")


def fetch_jars(jars: list[Jar]) -> Iterator[Jar]:
    """Download jars one by one. A file gets its name after its hash is verified, so a partial one is never used."""
    folder = jar_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix="fetch-") as fetched:
        context = MavenContext(repo_cache=Path(fetched), timeout=60)
        for jar in jars:
            try:
                found = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            except (RuntimeError, RequestException, OSError) as error:
                raise StackError(f"cannot download {jar.name} from the Maven repository: {error}") from None
            verify(found, jar)
            found.rename(folder / jar.name)
            yield jar


def verify(file: Path, jar: Jar) -> None:
    """Raise `StackError` unless the file has the locked hash."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise StackError(f"{jar.name} has sha256 {digest}, but the lock says {jar.sha256}: it was discarded")


def main() -> None:
    missing = missing_jars()
    for _ in track(fetch_jars(missing), "Apache Kafka", total=len(missing), disable=not missing):
        pass


if __name__ == "__main__":
    try:
        main()
    except MarketPrismError as error:
        raise SystemExit(str(error)) from None
