"""Connector for HTX linear swaps and futures (docs/protocols/htx.md §5)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import orjson

from ingest.exchanges.base import ChannelRow, Request, Route
from ingest.exchanges.history import History
from ingest.exchanges.htx.channels import LINEAR, NOTIFICATIONS, is_high_frequency
from ingest.exchanges.htx.connector import HtxConnector, fetch_rows
from ingest.exchanges.htx.history import LINEAR_HISTORY
from ingest.exchanges.htx.polls import LINEAR_BEST_LEVELS, LINEAR_POLLS
from ingest.exchanges.listing import number, optional_text, plain, text
from ingest.exchanges.polls import PollRow
from ingest.rest import Limit, Meaning, Rest
from schemas.feeds import from_exchange
from schemas.instruments import Instrument, Status, defined_instrument
from schemas.symbols import Selection

# All other states are halts that may end: suspension, the stages of settlement and delivery.
_STATES: dict[int, Status] = {0: "closed", 1: "trading"}


class HtxLinear(HtxConnector):
    """Connector for HTX linear swaps and futures."""

    name: ClassVar[str] = "htx-linear"
    name_field: ClassVar[str] = "contract_code"
    ws: ClassVar[tuple[str, ...]] = ("wss://api.hbdm.com", "wss://api.hbdm.vn")
    rest: ClassVar[tuple[str, ...]] = ("https://api.hbdm.com", "https://api.hbdm.vn")
    channels: ClassVar[Mapping[str, ChannelRow]] = LINEAR
    polls: ClassVar[Mapping[str, PollRow]] = LINEAR_POLLS
    best_levels: ClassVar[PollRow] = LINEAR_BEST_LEVELS
    history: ClassVar[History] = LINEAR_HISTORY
    without: ClassVar[Mapping[str, str]] = {"options": "lists none"}
    snapshots: Literal["stream", "message", "rest"] = "stream"
    connect_rate: ClassVar[tuple[float, float]] = (5, 1)
    message_rate: ClassVar[tuple[float, float]] = (20, 1)  # of 40 subscriptions a second
    instruments_per_connection: ClassVar[int] = 50  # 150 book streams on one socket worked without gaps
    rest_limits: ClassVar[Mapping[str, Limit]] = {
        "/": Limit(240, 3),  # all that is not market data, together
        "/linear-swap-ex/market/": Limit(800, 1),
    }
    rest_headers: ClassVar[Mapping[str, Meaning]] = {
        "ratelimit-limit": "limit",
        "ratelimit-interval": "interval_ms",
        "ratelimit-remaining": "remaining",
        "ratelimit-reset": "reset_ms",
    }
    time_path: ClassVar[str] = "/api/v1/timestamp"

    def book_levels(self) -> int:
        return 20 if self.depth <= 20 else 150

    def _request(self, verb: str, route: Route, number: int) -> Request:
        name, request_id = self.name_of(route.channel), str(number)
        if self.channels[route.channel].path == NOTIFICATIONS:
            message = {"op": verb, "cid": request_id, "topic": f"public.{route.symbol}.{name}"}
        else:
            message = {verb: f"market.{route.symbol}.{name}", "id": request_id}
        if is_high_frequency(name):
            message["data_type"] = "incremental"  # else the topic delivers whole books
        return Request(request_id, orjson.dumps(message).decode(), ())

    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        path = "/linear-swap-api/v1/swap_contract_info"
        return {"all": await fetch_rows(rest, path, business_type="all")}

    def symbol_of(self, entry: Any) -> str:
        return from_exchange(self.name, text(entry, "contract_code"))

    def definition(self, symbol: str, entry: Any) -> Instrument:
        status = entry["contract_status"]
        if type(status) is not int:
            raise ValueError(f"contract_status is {status!r}")
        return defined_instrument(
            self.name,
            "htx",
            symbol,
            exchange_symbol=text(entry, "contract_code"),
            settle=optional_text(entry, "trade_partition"),
            tick_size=plain(number(entry, "price_tick")),
            lot_size="1",
            contract_size=plain(number(entry, "contract_size")),
            status=_STATES.get(status, "halted"),
        )
