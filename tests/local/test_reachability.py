"""The doctor's look at hosts and proxies, with real sockets."""

from marketprism.local.reachability import check_hosts
from marketprism.simulator import Simulators
from schemas.settings import load_settings
from tests.ingest.rigs import ProxyRig


async def test_hosts_through_proxies() -> None:
    """Each host is tried through each proxy. What fails is a note that says why, without the password."""
    async with Simulators(["okx"]) as simulators, ProxyRig("http") as http, ProxyRig("socks5") as socks:
        own = simulators.endpoints["okx"]
        settings = load_settings(
            feeds="okx",
            endpoints={"okx": {"ws": ["ws://127.0.0.1:9", own["ws"]], "rest": own["rest"]}},
            proxies=[http.url("wrong-word"), socks.url(), "direct"],
        )
        found = await check_hosts(settings)
    assert [each.name for each in found] == ["okx sockets"] * 6 + ["okx REST"] * 3
    assert [each.ok for each in found] == [None, None, None, True, None, True, None, True, True]
    sockets, rest = [each.text for each in found[:6]], [each.text for each in found[6:]]
    assert sockets[0].endswith("cannot be used: the proxy answers HTTP 401 (check user and password)")
    assert sockets[3].endswith("works, and is used")
    assert sockets[4] == "ws://127.0.0.1:9 cannot be used: Connection refused"
    assert sockets[5] == f"{own['ws']} works"
    assert "check user and password" in rest[0]
    assert not any(word in each.text for each in found for word in ("wrong-word", "s3cret"))
