"""Deribit: routes of frames, control frames, subscriptions, definitions."""

import time
from itertools import count
from typing import Any

import orjson
import pytest

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Control, Route
from ingest.exchanges.deribit import Deribit
from ingest.pending_requests import GRACE, PendingRequests
from ingest.rest import Rest
from schemas.channels import CORE_CHANNELS
from schemas.events import KINDS
from schemas.exchanges.deribit import RESOLUTIONS
from schemas.symbols import Kind, Selection
from tests.frames import deribit
from tests.ingest.listings import routes

DERIBIT = Deribit()
ROUTES = [Route("data", "BTC-PERPETUAL", channel) for channel in CORE_CHANNELS]


def data(channel: str) -> bytes:
    return b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"%s","data":{}}}' % channel.encode()


@pytest.mark.parametrize(
    ("channel", "route"),
    [
        ("trades.BTC-PERPETUAL.100ms", ("BTC-PERPETUAL", "trades")),
        ("book.BTC_USDC-PERPETUAL.100ms", ("BTC_USDC-PERPETUAL", "books")),
        ("book.XRP_USDC-25SEP26-1d02-C.raw", ("XRP_USDC-25SEP26-1d02-C", "books")),
        ("quote.BTC_USDC", ("BTC_USDC", "quotes")),
        ("book.BTC-PERPETUAL.none.20.100ms", ("BTC-PERPETUAL", "books")),
        ("book.BTC-PERPETUAL.10.20.100ms", ("BTC-PERPETUAL", "", "grouped books")),
        ("ticker.BTC-PERPETUAL.agg2", ("BTC-PERPETUAL", "tickers")),
        ("ticker.BTC-25SEP26-90000-C.100ms", ("BTC-25SEP26-90000-C", "tickers")),
        ("chart.trades.XRP_USDC-25SEP26-1d02-C.1D", ("XRP_USDC-25SEP26-1d02-C", "candles_1d")),
        ("chart.trades.BTC_USDC.720", ("BTC_USDC", "candles_12h")),
        ("chart.trades.BTC_USDC.7", ("BTC_USDC", "", "chart.7")),
        ("incremental_ticker.BTC_USDC", ("BTC_USDC", "", "incremental_ticker")),
        ("trades.option.any.100ms", ("", "", "trades.option.any.100ms")),
        ("deribit_price_index.btc_usd", ("", "", "deribit_price_index.btc_usd")),
    ],
)
def test_data(channel: str, route: tuple[str, ...]) -> None:
    """A data frame is routed by its channel, in any order of keys."""
    assert DERIBIT.route(data(channel)) == Route("data", *route)
    turned = orjson.dumps({"params": {"data": [], "channel": channel}, "method": "subscription", "jsonrpc": "2.0"})
    assert DERIBIT.route(turned) == Route("data", *route)


def rpc(**body: Any) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", **body})


@pytest.mark.parametrize(
    ("frame", "control"),
    [
        (rpc(method="heartbeat", params={"type": "heartbeat"}), Control("routine")),
        (rpc(method="heartbeat"), Control("routine")),
        (rpc(id=0, result="ok"), Control("routine", "0")),
        (rpc(id=0, result=["book.BTC-PERPETUAL.100ms"]), Control("routine", "0")),
        (rpc(id=0, result={"version": "1.2.26"}), Control("routine", "0")),
        (
            rpc(id=5, error={"code": 10028, "message": "too_many_requests"}),
            Control("rejected", "5", reason="10028: too_many_requests"),
        ),
        (
            rpc(method="subscription", params={"channel": "platform_state", "data": {"locked": False}}),
            Control("routine"),
        ),
        (
            rpc(
                method="subscription",
                params={"channel": "platform_state", "data": {"price_index": "btc_usd", "locked": True}},
            ),
            Control("notice", reason="locked: btc_usd"),
        ),
        (
            rpc(method="subscription", params={"channel": "platform_state", "data": {"maintenance": True}}),
            Control("closing", reason="maintenance"),
        ),
        (data("platform_state")[:-9], Control("unknown", reason="not JSON")),
    ],
)
def test_control(frame: bytes, control: Control) -> None:
    """Control frames are recognised and parsed."""
    assert DERIBIT.route(frame) == CONTROL
    assert DERIBIT.parse_control(frame) == control


def test_test_request_is_answered() -> None:
    """The exchange's test request is answered with `public/test`."""
    control = DERIBIT.parse_control(rpc(method="heartbeat", params={"type": "test_request"}))
    assert orjson.loads(control.reply)["method"] == "public/test"


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"7", b"[]", b'{"jsonrpc":', b"\xff", b"[" * 10_000, data(""), rpc(), rpc(method="subscription"),
        rpc(method="subscription", params=[]), rpc(method="public/subscribe"),
        data("book.BTC-PERPETUAL.100ms").replace(b"BTC", b"\xff"),
    ],
)  # fmt: skip
def test_unknown_frames(frame: bytes) -> None:
    """Any other frame is unknown, and nothing is raised."""
    assert DERIBIT.route(frame) == UNKNOWN_FRAME


def test_subscribe() -> None:
    """Heartbeats first, then at most 500 channels per call. Resubscribing unsubscribes first."""
    names = [f"C{number}-PERPETUAL" for number in range(200)]
    heartbeat, *calls = DERIBIT.subscribe(routes(DERIBIT, names, CORE_CHANNELS), count(1))
    assert (orjson.loads(heartbeat.text)["method"], heartbeat.routes) == ("public/set_heartbeat", ())
    channels = [orjson.loads(call.text)["params"]["channels"] for call in calls]
    assert [len(each) for each in channels] == [500, 102]
    assert sum(len(call.routes) for call in calls) == 600
    assert channels[0][:4] == [
        "platform_state",
        "trades.C0-PERPETUAL.100ms",
        "book.C0-PERPETUAL.100ms",
        "quote.C0-PERPETUAL",
    ]
    again = DERIBIT.resubscribe(DERIBIT.route_of("BTC-PERPETUAL", "books"), count(7))
    assert [orjson.loads(call.text)["method"] for call in again] == ["public/unsubscribe", "public/subscribe"]
    assert [call.routes for call in again] == [(), (Route("data", "BTC-PERPETUAL", "books"),)]


def requested(connector: Deribit, kind: Kind, symbol: str) -> list[str]:
    """Return the channels that are subscribed to for an instrument."""
    channels = connector.channels_of(kind, "/ws/api/v2")
    _, *calls = connector.subscribe(routes(connector, [symbol], channels), count(1))
    return [name for call in calls for name in orjson.loads(call.text)["params"]["channels"][1:]]


@pytest.mark.parametrize(
    ("kinds", "channels", "names"),
    [
        (["trades"], [], ["trades.BTC_USDC.100ms"]),
        (["liquidations"], [], ["trades.BTC_USDC.100ms"]),
        (["funding"], [], ["ticker.BTC_USDC.agg2"]),
        (["options", "tickers", "mark_prices", "open_interest"], [], ["ticker.BTC_USDC.agg2"]),
        ([], ["candles_1m", "candles_1d"], ["chart.trades.BTC_USDC.1", "chart.trades.BTC_USDC.1D"]),
        (["long_short_ratios"], ["candles_4h"], []),
    ],
)
def test_channels_of_kinds(kinds: list[str], channels: list[str], names: list[str]) -> None:
    """A channel is subscribed to if it carries a wanted kind, or is wanted itself."""
    assert requested(Deribit(kinds, channels=channels), "spot", "BTC_USDC") == names


def test_every_channel_is_routed_to_itself() -> None:
    """A frame of each subscribed channel belongs to the subscription."""
    connector = Deribit(KINDS)
    channels = connector.channels_of("perp", "/ws/api/v2")
    assert len(channels) == 4 + len(RESOLUTIONS)
    names = requested(connector, "perp", "BTC-PERPETUAL")
    assert [connector.route(data(name)) for name in names] == routes(connector, ["BTC-PERPETUAL"], channels)


@pytest.mark.parametrize("depth", [20, 10, 1])
def test_books_of_few_levels(depth: int) -> None:
    """They replace the full book, and are routed as it is."""
    name = f"book.{{}}.none.{depth}.100ms"
    connector = Deribit(["books"], variants={"books": name})
    assert requested(connector, "perp", "BTC-PERPETUAL") == [name.format("BTC-PERPETUAL")]
    assert connector.route(data(name.format("BTC-PERPETUAL"))) == Route("data", "BTC-PERPETUAL", "books")


def test_funding_history_is_polled() -> None:
    """Of perpetuals alone: the latest hours, up to now; an answer's newest row is the latest hour."""
    assert Deribit(["trades"]).polled == {}
    row = Deribit(["funding"]).polled["funding_history"]
    assert row.of == ("perp",)
    assert row.query("BTC-PERPETUAL") == {"instrument_name": "BTC-PERPETUAL"}
    bounds = {name: int(value) for name, value in row.rows(3).items()}
    assert bounds["end_timestamp"] - bounds["start_timestamp"] == 3 * 3_600_000
    assert abs(bounds["end_timestamp"] - time.time() * 1000) < 10_000
    later, earlier = (deribit.interest_row(timestamp=text) for text in ("1789999200000", "1789995600000"))
    assert row.newest(deribit.funding_history(later, earlier)) == 1_789_999_200_000
    assert row.newest(deribit.funding_history()) == 0


def test_omitted_channels_are_rejected_soon() -> None:
    """The answer names the accepted channels, in any order. The rest of the request is rejected, with a reason."""
    _, request = DERIBIT.subscribe(routes(DERIBIT, ["BTC-PERPETUAL"], CORE_CHANNELS), count(1))
    pending = PendingRequests()
    pending.add(request, 0.0)
    answer = DERIBIT.parse_control(
        rpc(id=1, result=["quote.BTC-PERPETUAL", "platform_state", "trades.BTC-PERPETUAL.100ms"])
    )
    assert answer.kind == "acknowledged"
    assert answer.reason
    assert pending.acknowledge(answer.id, answer.routes) == sorted((ROUTES[0], ROUTES[2]))
    pending.reject(answer.id, answer.reason, 0.0)
    assert pending.pop_rejected(GRACE) == [(ROUTES[1], answer.reason)]


def test_an_answer_without_channels() -> None:
    """If the exchange accepts none of the channels, the whole request is rejected."""
    assert DERIBIT.parse_control(rpc(id=1, result=[])).kind == "rejected"
    assert DERIBIT.parse_control(rpc(id=1, result=["platform_state"])).kind == "rejected"


def listed(name: str, kind: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "instrument_name": name, "kind": kind, "instrument_type": "linear", "tick_size": 0.5, "min_trade_amount": 10,
        "contract_size": 10, "is_active": True, "state": "open", "settlement_currency": "USDC",
    }  # fmt: skip
    return plain | changes


class StubRest(Rest):
    """REST client that answers with a listing, by kind. `queries`: those it has received."""

    def __init__(self) -> None:
        self.queries: list[dict[str, str]] = []

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        self.queries.append(params)
        return orjson.dumps({"jsonrpc": "2.0", "result": LISTED[params["kind"]]})


LISTED = {
    "future": [
        listed("BTC-PERPETUAL", "future", instrument_type="reversed", settlement_currency="BTC"),
        listed("BTC_USDC-PERPETUAL", "future", tick_size=1, min_trade_amount=0.0001, contract_size=0.0001),
        listed("BTC-25SEP26", "future", instrument_type="reversed", state="settlement"),
        listed("BTC-FS-25SEP26_PERP", "future_combo"),
    ],
    "spot": [listed("BTC_USDC", "spot", tick_size=1e-05, state="inactive")],
    "option": [listed("BTC-25SEP26-90000-C", "option", instrument_type="reversed", tick_size=0.0001)],
}


async def test_definitions() -> None:
    """A contract is inverse if the metadata say so and its amounts are US dollars. Amounts are never contracts."""
    found = await DERIBIT.instruments(StubRest(), Selection(["BTC-*", "BTC-USD-260925-90000-C"]))
    assert {symbol: (each.inverse, each.tick_size, each.lot_size, each.status) for symbol, each in found.items()} == {
        "BTC-USD-PERP": (True, "0.5", "10", "trading"),
        "BTC-USDC-PERP": (False, "1", "0.0001", "trading"),
        "BTC-USD-260925": (True, "0.5", "10", "halted"),
        "BTC-USDC": (False, "0.00001", "10", "closed"),
        "BTC-USD-260925-90000-C": (False, "0.0001", "10", "trading"),
    }
    assert {each.contract_size for each in found.values()} == {"1"}
    assert found["BTC-USD-PERP"].settle == "BTC"


@pytest.mark.parametrize(
    ("selection", "currencies"),
    [
        (("BTC-USD-PERP", "*-USDC"), []),
        (("BTC-USD-260925-90000-C", "XRP-USDC-*-*-P", "ETH-USD-*-*-C"), ["BTC", "ETH", "USDC"]),
        (("BTC-USD-260925-90000-C", "*-USD-*-*-C"), ["any"]),
        (("SOL-USD-260925-90-C",), ["any"]),
    ],
)
async def test_queries_for_options(selection: tuple[str, ...], currencies: list[str]) -> None:
    """Options are queried only if selected: by currency, if the exchange accepts it."""
    rest = StubRest()
    await DERIBIT.instruments(rest, Selection(selection))
    assert [query["currency"] for query in rest.queries if query["kind"] == "option"] == currencies
    assert [query["kind"] for query in rest.queries[:2]] == ["future", "spot"]


def test_route_is_fast() -> None:
    """The common form costs a slice and a look-up, whatever the frame's length."""
    frame = data("book.BTC-PERPETUAL.100ms") + b" " * 100_000
    started = time.perf_counter()
    for _ in range(1000):
        DERIBIT.route(frame)
    assert time.perf_counter() - started < 0.1
