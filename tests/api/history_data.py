"""The application over a ClickHouse of its own, without a broker: what a test stores or applies is all there is."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from marketprism.api.app import create_app
from marketprism.api.market import Market
from marketprism.api.records import decoder_of
from schemas.settings import Settings, load_settings
from sinks.migrations import migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage

Row = dict[str, Any]


class Api:
    """The API, whose market knows what is applied."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)

    @property
    def market(self) -> Market:
        market: Market = self.app.state.context.market
        return market

    def apply(self, table: str, *rows: Row) -> None:
        """Let the market see events as the follower reads them."""
        decode = decoder_of(table)
        for row in rows:
            record = decode(orjson.dumps(row))
            assert record is not None
            self.market.apply(record)

    async def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON that a path answers."""
        answer = await self.answer(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def answer(self, path: str, **parameters: Any) -> httpx.Response:
        return await self.request("GET", path, params=parameters)

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request. An error that no handler knows is raised here instead of being answered with 500."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            return await client.request(method, f"/api/{path}", **options)


class Prism(Api):
    """The API and its database."""

    def __init__(self, settings: Settings, storage: EmbeddedStorage) -> None:
        super().__init__(settings)
        self._storage = storage
        self._offsets: dict[tuple[str, int], int] = {}

    def store(self, table: str, rows: list[Row], partition: int = 0) -> None:
        """Insert events as the sink does. All of one call are of one day."""
        first = self._offsets.get((table, partition), 0)
        block = Block(partition, [orjson.dumps(row) for row in rows], list(range(first, first + len(rows))))
        assert self._storage.insert(f"prism.{table}", block, block.token(table)) is None
        self._offsets[table, partition] = first + len(rows)


def settings_in(directory: Path) -> Settings:
    """Return settings with a database in a directory."""
    return load_settings(clickhouse=f"chdb://{directory}/clickhouse", database="prism", api_requests_per_s=0)


@contextlib.contextmanager
def prism(directory: Path) -> Iterator[Prism]:
    """Open a migrated, empty database with its API."""
    settings = settings_in(directory)
    storage = EmbeddedStorage(settings)
    migrate(storage, settings)
    made = Prism(settings, storage)
    yield made
    made.app.state.context.queries.close()
    made.app.state.context.sql.close()
    storage.close()
