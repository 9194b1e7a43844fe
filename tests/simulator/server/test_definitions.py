"""Changed listings of the simulated exchanges, and their announcements."""

from typing import Any

import pytest

from marketprism.simulator import Definition, Simulators
from marketprism.simulator.plans import Definition as Plan
from tests.simulator.clients import command, get, opened, receive, rpc, subscription

LISTED = {
    "binance-spot": ("/api/v3/exchangeInfo", {}, "symbols", "symbol", "BTC-USDT", "BTCUSDT"),
    "binance-usdm": ("/fapi/v1/exchangeInfo", {}, "symbols", "symbol", "BTC-USDT-PERP", "BTCUSDT"),
    "binance-coinm": ("/dapi/v1/exchangeInfo", {}, "symbols", "symbol", "BTC-USD-PERP", "BTCUSD_PERP"),
    "okx": ("/api/v5/public/instruments", {"instType": "SWAP"}, "data", "instId", "BTC-USDT-PERP", "BTC-USDT-SWAP"),
    "htx-spot": ("/v1/settings/common/market-symbols", {}, "data", "symbol", "BTC-USDT", "btcusdt"),
    "htx-linear": ("/linear-swap-api/v1/swap_contract_info", {}, "data", "contract_code", "BTC-USDT-PERP", "BTC-USDT"),
    "deribit": (
        "/api/v2/public/get_instruments", {"currency": "any", "kind": "future"}, "result", "instrument_name",
        "BTC-USD-PERP", "BTC-PERPETUAL",
    ),
}  # fmt: skip


async def entry(sims: Simulators, feed: str) -> dict[str, Any] | None:
    path, query, rows, field, _, name = LISTED[feed]
    _, body, _ = await get(sims, feed, path, **query)
    return next((row for row in body[rows] if row[field] == name), None)


async def change(sims: Simulators, feed: str, kind: Any) -> None:
    await sims.plant(Definition(feed=feed, symbol=LISTED[feed][4], change=kind))


@pytest.mark.parametrize("feed", LISTED)
async def test_changes_of_a_listing(feed: str) -> None:
    """Each change affects the instrument's entry, and `back` restores the original."""
    async with Simulators([feed]) as sims:
        original = await entry(sims, feed)
        assert original is not None
        for kind in Plan.model_fields["change"].annotation.__args__:  # type: ignore[union-attr]
            await change(sims, feed, kind)
            changed = await entry(sims, feed)
            assert (changed is None) == (kind == "gone")
            if kind in ("closed", "halted", "odd"):
                assert changed != original
        assert await entry(sims, feed) == original


async def test_delisted_instrument_cannot_be_subscribed() -> None:
    """Subscribing to an instrument that is gone is rejected."""
    async with Simulators(["okx"], rate=5.0) as sims, opened(sims, "okx") as socket:
        await command(socket, subscription("okx", "BTC-USDT-PERP", "trades"))
        await receive(socket, lambda body: "data" in body)
        await change(sims, "okx", "gone")
        answer = await command(socket, subscription("okx", "BTC-USDT-PERP", "books"))
        assert (answer["event"], answer["code"]) == ("error", "60018")


async def test_okx_announcement() -> None:
    """OKX pushes the whole entry to subscribers of its instrument type."""
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        request = {"op": "subscribe", "args": [{"channel": "instruments", "instType": "SWAP"}]}
        assert (await command(socket, request))["event"] == "subscribe"
        await change(sims, "okx", "halted")
        push = await receive(socket)
        assert push["arg"] == {"channel": "instruments", "instType": "SWAP"}
        assert (push["data"][0]["instId"], push["data"][0]["state"]) == ("BTC-USDT-SWAP", "suspend")
        await change(sims, "okx", "gone")
        assert (await receive(socket))["data"][0]["state"] == "expired"


async def test_binance_announcement() -> None:
    """Binance sends `contractInfo` on the path of market streams only."""
    async with Simulators(["binance-usdm"]) as sims:
        request = {"method": "SUBSCRIBE", "params": ["!contractInfo"], "id": 1}
        async with opened(sims, "binance-usdm", "/market/stream") as socket, opened(sims, "binance-usdm") as other:
            for each in (socket, other):
                assert (await command(each, request))["result"] is None
            await change(sims, "binance-usdm", "closed")
            push = await receive(socket)
            assert push["stream"] == "!contractInfo"
            assert (push["data"]["s"], push["data"]["cs"]) == ("BTCUSDT", "SETTLING")
            assert (await command(other, {"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == []


async def test_deribit_announcement() -> None:
    """Deribit sends the name and state of the instrument."""
    async with Simulators(["deribit"]) as sims, opened(sims, "deribit") as socket:
        await command(socket, rpc("subscribe", channels=["instrument.state.future.any"]))
        await change(sims, "deribit", "gone")
        push = await receive(socket, lambda body: body.get("method") == "subscription")
        assert push["params"]["channel"] == "instrument.state.future.any"
        assert push["params"]["data"]["instrument_name"] == "BTC-PERPETUAL"
