"""Storage on a ClickHouse server, over its native TCP protocol."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException
from clickhouse_driver.util.helpers import parse_url

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.names import entry_of
from sinks.storage.base import ENTRY_COLUMNS, Block, Rejection, insert_settings, rejection_or_raise

_TIMEOUTS = {"connect_timeout": 5, "send_receive_timeout": 60}  # seconds
R = TypeVar("R")


class ServerStorage:
    """`Storage` on a ClickHouse server. Every thread gets its own connection, opened on first use."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.clickhouse
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[Client] = []

    def insert(self, table: str, block: Block, token: str) -> Rejection | None:
        columns = ", ".join(name for name, _ in ENTRY_COLUMNS)
        statement = f"INSERT INTO {entry_of(table)} ({columns}) VALUES"
        try:
            self._client().execute(statement, block.columns(), columnar=True, settings=self.insert_settings(token))
        except ServerException as error:
            return rejection_or_raise(error.code, _text(error))
        except (Error, OSError, EOFError) as error:
            raise self._unreachable(error) from None
        return None

    def insert_settings(self, token: str) -> dict[str, Any]:
        return insert_settings(token)

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = self._run(lambda client: client.execute(sql))
        return rows

    def execute(self, sql: str) -> None:
        self._run(lambda client: client.execute(sql))

    def close(self) -> None:
        with self._lock:
            for client in self._clients:
                client.disconnect()
            self._clients.clear()

    def _run(self, call: Callable[[Client], R]) -> R:
        try:
            return call(self._client())
        except ServerException as error:
            raise StorageError(_text(error)) from None
        except (Error, OSError, EOFError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> StorageError:
        address = self._url.rpartition("@")[2]  # without user and password
        return StorageError(f"cannot reach ClickHouse at {address}: {str(error) or type(error).__name__}")

    def _client(self) -> Client:
        client = getattr(self._local, "client", None)
        if client is None:
            host, options = parse_url(self._url)
            client = self._local.client = Client(host, **(_TIMEOUTS | options))
            with self._lock:
                self._clients.append(client)
        return client


def _text(error: ServerException) -> str:
    return f"Code: {error.code}. " + str(error.message).partition(" Stack trace:")[0].strip()
