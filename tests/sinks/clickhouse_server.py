"""Run the installed ClickHouse server, of whatever version, as a process."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from marketprism.local.broker import free_port
from schemas.errors import StorageError

_CONFIG = """<yandex>
<logger><level>warning</level><log>{data}/server.log</log><errorlog>{data}/error.log</errorlog></logger>
<http_port>{http}</http_port><tcp_port>{port}</tcp_port><listen_host>127.0.0.1</listen_host>
<path>{data}/</path><tmp_path>{data}/tmp/</tmp_path><user_files_path>{data}/files/</user_files_path>
<mark_cache_size>5368709120</mark_cache_size><users_config>users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database>
</yandex>
"""
_USERS = """<yandex>
<profiles><default/></profiles><quotas><default/></quotas>
<users><default><password>s:e/cret</password><networks><ip>::/0</ip></networks>
<profile>default</profile><quota>default</quota></default></users>
</yandex>
"""


def find_binary() -> str | None:
    """Return the path of clickhouse-server, or None if it is not installed."""
    return shutil.which("clickhouse-server", path=os.environ.get("PATH", "") + ":/usr/sbin")


class ClickHouseServer:
    """One server on one data directory. It can be killed and started repeatedly."""

    def __init__(self, data: Path) -> None:
        self.port, self.http = free_port(), free_port()
        self.url = f"clickhouse://default:s%3Ae%2Fcret@127.0.0.1:{self.port}"
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None
        data.mkdir(parents=True, exist_ok=True)
        (data / "config.xml").write_text(_CONFIG.format(data=data, port=self.port, http=self.http))
        (data / "users.xml").write_text(_USERS)

    def start(self) -> None:
        binary = find_binary()
        assert binary is not None
        command = [binary, f"--config-file={self._data}/config.xml"]
        with (self._data / "out.log").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, cwd=self._data)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise StorageError(f"clickhouse-server did not start: {(self._data / 'out.log').read_text()[-800:]}")

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
