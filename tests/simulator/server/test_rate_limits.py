"""Planted rate limits of REST, as a plain client sees them."""

import orjson

from marketprism.simulator import RateLimit, Simulators
from tests.simulator.clients import (
    TIMES,
    each_feed,
    get,
    opened,
    subscribe,
)


@each_feed
async def test_rest_rejects_the_given_number_of_requests(feed: str, symbol: str) -> None:
    """Two requests are rejected with the exchange's own error; the third is answered."""
    async with Simulators([feed]) as sims:
        planted = await sims.plant(RateLimit(feed=feed, count=2))
        for _ in range(2):
            status, body, headers = await get(sims, feed, TIMES[feed])
            code = str(body["error"]["code"] if "error" in body else body["code"])
            assert (status, code) == (429, {"okx": "50011", "deribit": "10028"}.get(feed, "-1003"))
            assert not feed.startswith("binance") or headers["Retry-After"] == "1"
            async with opened(sims, feed) as socket:
                assert not {"code", "error"} & set(await subscribe(socket, feed, symbol, "books"))
        assert (await get(sims, feed, TIMES[feed]))[0] == 200
        assert (await planted.over()).result == {"requests": 2}


async def test_rest_rejects_requests_for_some_time() -> None:
    """Every request until the end is rejected with the remaining time; WebSockets can still be opened."""
    async with Simulators(["binance-spot"]) as sims:
        planted = await sims.plant(RateLimit(feed="binance-spot", status=418, seconds=1.2))
        answers = [await get(sims, "binance-spot", TIMES["binance-spot"]) for _ in range(3)]
        assert [status for status, _, _ in answers] == [418] * 3
        assert answers[0][2]["Retry-After"] == "2"
        async with opened(sims, "binance-spot"):
            await planted.over()
        assert planted.result == {"requests": 3}
        assert (await get(sims, "binance-spot", TIMES["binance-spot"]))[0] == 200


async def test_binance_ban_names_its_end() -> None:
    """The body of Binance's 418 has the time until which the address is banned."""
    async with Simulators(["binance-spot"]) as sims:
        await sims.plant(RateLimit(feed="binance-spot", status=418))
        status, body, headers = await get(sims, "binance-spot", "/api/v3/time")
        assert (status, headers["Retry-After"]) == (418, "1")
        assert "banned until 1" in body["msg"]
        assert orjson.dumps(body)
