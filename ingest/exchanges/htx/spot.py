"""Connector for HTX spot (docs/protocols/htx.md §4)."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import orjson

from ingest.exchanges.base import ChannelRow, Request
from ingest.exchanges.history import History
from ingest.exchanges.htx.channels import SPOT
from ingest.exchanges.htx.connector import HtxConnector, fetch_rows
from ingest.exchanges.htx.history import SPOT_HISTORY
from ingest.exchanges.htx.polls import SPOT_BEST_LEVELS
from ingest.exchanges.listing import text, unit
from ingest.exchanges.polls import PollRow
from ingest.rest import Limit, Meaning, Rest
from schemas.instruments import Instrument, Status, defined_instrument
from schemas.symbols import Selection, parse_symbol

# All other states are halts that may end, such as a suspension.
_STATES: dict[str, Status] = {"online": "trading", "offline": "closed", "not-online": "closed"}


class HtxSpot(HtxConnector):
    """Connector for HTX spot."""

    name: ClassVar[str] = "htx-spot"
    name_field: ClassVar[str] = "symbol"
    ws: ClassVar[tuple[str, ...]] = ("wss://api.huobi.pro", "wss://api-aws.huobi.pro")
    rest: ClassVar[tuple[str, ...]] = ("https://api.huobi.pro", "https://api-aws.huobi.pro")
    channels: ClassVar[Mapping[str, ChannelRow]] = SPOT
    best_levels: ClassVar[PollRow] = SPOT_BEST_LEVELS
    history: ClassVar[History] = SPOT_HISTORY
    without: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("funding", "mark_prices", "open_interest", "liquidations", "long_short_ratios", "options"), "spot has none"
    )
    snapshots: Literal["stream", "message", "rest"] = "message"
    connect_rate: ClassVar[tuple[float, float]] = (5, 1)  # no limit is published
    # Evenly, not 8 at once: some are `req`, of which one per 100 ms is allowed.
    message_rate: ClassVar[tuple[float, float]] = (1, 0.125)
    instruments_per_connection: ClassVar[int] = 50
    rest_limits: ClassVar[Mapping[str, Limit]] = {
        "/": Limit(4000, 300, ("path",)),  # the least of most endpoints
        "/market/fullMbp": Limit(5, 1),
        "/market/history/trade": Limit(3000, 300),
        "/market/history/kline": Limit(4500, 300),
        "/market/detail": Limit(4500, 300, ("path",)),
        "/market/tickers": Limit(4500, 300),
        "/market/trade": Limit(4500, 300),
    }
    rest_headers: ClassVar[Mapping[str, Meaning]] = {
        "X-HB-RateLimit-Requests-Remain": "remaining",
        "X-HB-RateLimit-Requests-Expire": "reset_ms",
    }
    time_path: ClassVar[str] = "/v1/common/timestamp"

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        request_id = str(next(ids))
        message = orjson.dumps({"req": f"market.{symbol}.{self.name_of('books')}", "id": request_id}).decode()
        return Request(request_id, message, ())

    def book_levels(self) -> int:
        # The exchange also has 20, but only for about thirty symbols.
        return next((levels for levels in (5, 150) if levels >= self.depth), 400)

    def seed_levels(self) -> int:
        return self.book_levels() if self.snapshots == "message" else 0

    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        return {"all": await fetch_rows(rest, "/v1/settings/common/market-symbols")}

    def symbol_of(self, entry: Any) -> str:
        return str(parse_symbol(f"{text(entry, 'bc')}-{text(entry, 'qc')}".upper()))

    def definition(self, symbol: str, entry: Any) -> Instrument:
        return defined_instrument(
            self.name,
            "htx",
            symbol,
            exchange_symbol=text(entry, "symbol"),
            tick_size=unit(entry, "pp"),
            lot_size=unit(entry, "ap"),
            status=_STATES.get(text(entry, "state"), "halted"),
        )
