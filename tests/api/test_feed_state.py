"""The state of a feed follows from what its instruments report."""

from marketprism.api.feed_state import FeedState
from marketprism.api.market import Market
from marketprism.api.spans import now_us
from tests.api.market_data import apply, quote, status


def okx(market: Market) -> FeedState:
    """Return the state of the only feed."""
    [found] = market.feeds()
    return found


def test_a_live_feed() -> None:
    """A feed with events is live, and its figures are those of the reports."""
    market = Market()
    status(market, "connected", "books", "trades")
    quote(market, "100", "101")
    status(market, "report", "books", messages=100, latency_median=7_000, age=1_000)
    status(market, "report", "trades", messages=50, latency_median=9_000, age=1_000)
    found = okx(market)
    assert (found.feed, found.state, found.reason, found.instruments) == ("okx", "live", "", 1)
    assert (found.frames_per_second, found.latency) == (15.0, 7_000)
    assert found.age is not None
    assert found.age < 1_000_000


def test_a_lost_feed() -> None:
    """A feed whose connections are lost is down, with the reason, and live once they are back."""
    market = Market()
    quote(market, "100", "101")
    status(market, "connected", "books")
    status(market, "connected", "trades")
    status(market, "disconnected", "books", reason="closed: 1006")
    assert okx(market).state == "degraded"
    status(market, "disconnected", "trades", reason="closed: 1006")
    status(market, "report", "open_interest", messages=1)  # a poll
    assert (okx(market).state, okx(market).reason) == ("down", "disconnected: closed: 1006")
    status(market, "connected", "books", "trades")
    assert okx(market).state == "live"


def test_no_ingest() -> None:
    """A feed that nobody ingests is down: without channels, the report is about all of them."""
    market = Market()
    quote(market, "100", "101")
    status(market, "connected", "books", "trades")
    status(market, "absent")
    assert okx(market).state == "down"
    assert okx(market).instruments_down == 1


def test_a_silent_channel() -> None:
    """A silent channel degrades its feed until it resumes."""
    market = Market()
    quote(market, "100", "101")
    status(market, "connected", "books")
    status(market, "silent", "books", reason="resubscribe")
    assert (okx(market).state, okx(market).silent) == ("degraded", ["books:BTC-USDT"])
    status(market, "resumed", "books")
    assert (okx(market).state, okx(market).silent) == ("live", [])


def test_quotes_by_rest() -> None:
    """A feed whose quotes are all polled is degraded, not down, while REST answers, until its books come by socket."""
    market = Market()
    quote(market, "100", "101", origin="rest")
    status(market, "connected", "books")
    status(market, "disconnected", "books", reason="refused")
    assert okx(market).state == "down"
    status(market, "rest_fallback", "books", reason="no socket is open")
    found = okx(market)
    assert (found.state, found.reason) == ("degraded", "quotes by REST: disconnected: refused")
    assert found.by_rest == ["BTC-USDT"]
    status(market, "rest_down", reason="timeout")
    assert (okx(market).state, okx(market).reason) == ("down", "disconnected: refused")
    status(market, "rest_up")
    status(market, "connected", "books")
    assert okx(market).reason == "BTC-USDT by REST: no socket is open"
    status(market, "subscribed", "trades")
    assert okx(market).state == "degraded"
    status(market, "rest_fallback_ended", "books")
    assert (okx(market).state, okx(market).by_rest) == ("live", [])
    status(market, "rest_fallback", "books", reason="no socket is open")
    status(market, "subscribed", "books")
    assert okx(market).by_rest == []


def test_no_more_quotes_by_rest() -> None:
    """An ingest that is killed does not say that it polls no more: without quotes the feed is down."""
    market = Market()
    quote(market, "100", "101", origin="rest", local_timestamp=now_us() - 20_000_000)
    status(market, "disconnected", "books", reason="refused")
    status(market, "rest_fallback", "books", reason="no socket is open")
    assert (okx(market).state, okx(market).reason) == ("down", "disconnected: refused")


def test_a_failing_rest_address() -> None:
    """A failure degrades a feed until it ends."""
    market = Market()
    quote(market, "100", "101")
    status(market, "rest_down", reason="timeout")
    assert (okx(market).state, okx(market).reason) == ("degraded", "rest_down: timeout")
    status(market, "rest_up")
    assert okx(market).state == "live"


def test_a_changed_host() -> None:
    """The last change of host or proxy is told, of sockets and of REST; the feed is as live as before."""
    market = Market()
    quote(market, "100", "101")
    for reason in ("ws wss://a: first choice", "rest https://a: first choice", "ws wss://b: wss://a: refused"):
        status(market, "host_changed", reason=reason)
    assert okx(market).hosts == ["rest https://a: first choice", "ws wss://b: wss://a: refused"]
    assert okx(market).state == "live"


def test_an_old_feed() -> None:
    """A feed without events for long is stale, then down; one without any is starting."""
    market = Market()
    quote(market, "100", "101", local_timestamp=now_us() - 20_000_000)
    assert okx(market).state == "stale"
    market = Market()
    quote(market, "100", "101", local_timestamp=now_us() - 120_000_000)
    assert okx(market).state == "down"
    market = Market()
    status(market, "connected", "books")
    assert okx(market).state == "starting"


def test_a_delisted_instrument() -> None:
    """An instrument that was delisted does not count."""
    market = Market()
    quote(market, "100", "101")
    apply(market, "market.instruments", symbol="ABC-USDT", type="delisted")
    status(market, "disconnected", "books", symbol="ABC-USDT")
    assert (okx(market).state, okx(market).instruments) == ("live", 1)


def test_a_late_pipeline() -> None:
    """A feed whose events are old but still arrive is not down: the pipeline is behind."""
    market = Market()
    for _ in range(2):
        quote(market, "100", "101", local_timestamp=now_us() - 90_000_000)
        market.on_second()
    assert (okx(market).state, okx(market).reason) == ("degraded", "the pipeline is 90 s behind")
    market.instruments["okx", "BTC-USDT"].arrived_at -= 10_000_000
    assert okx(market).state == "down"


def test_a_feed_that_returns() -> None:
    """After an outage of the broker, ingest goes on: also a channel that is polled once an hour is not down."""
    market = Market()
    quote(market, "100", "101")
    status(market, "connected", "books", "funding_history")
    status(market, "absent", "books", "funding_history")
    assert okx(market).state == "down"
    status(market, "returned", "books", "funding_history")
    assert okx(market).state == "live"
