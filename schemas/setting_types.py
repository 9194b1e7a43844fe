"""Types of settings: how each is written, and which values it accepts."""

import fnmatch
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from schemas.channels import CHANNELS, POLLS
from schemas.errors import SymbolError
from schemas.events import KINDS
from schemas.feeds import EXCHANGES, FEEDS, feed_named, feed_of
from schemas.intervals import FIXED_INTERVALS, length_of
from schemas.jobs import OFF, SCHEDULES, times_of
from schemas.keys import key_of, split_key
from schemas.passwords import masked
from schemas.proxies import DIRECT, Proxy
from schemas.spellings import respelt
from schemas.suggestions import unknown
from schemas.symbols import is_pattern, parse_symbol

CHANNEL_TIMEOUT_S = {channel.name: channel.timeout_s for channel in CHANNELS.values()}
_ALL_CHANNELS = "docs/coverage.md lists all"
_SERVER = re.compile(r"(\[[\da-fA-F:.]+\]|[^\s:/@\[\]]+)(:\d{1,5})?")
_CLICKHOUSE = re.compile(r"chdb://.+|clickhouses?://([^/?#]*@)?(\[[^@\]]+\]|[^@:/?#]+)(:\d+)?([/?#][^@]*)?")
_LAST_PORT = 65_535
EVERY = "*"
"""Name under which proxies are for all feeds."""
R = TypeVar("R")


def _split(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


# In the environment, several names are written `a,b`, and values by name as JSON.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Endpoint(BaseModel):
    """Addresses of a feed, the preferred ones first; none means the exchange's own."""

    model_config = ConfigDict(extra="forbid")

    ws: Names = ()
    rest: Names = ()


def _json(value: Any) -> Any:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        raise ValueError(f"{masked(value)!r} is not JSON") from None


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("the list is empty")
    return names


def _known_feeds(feeds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_checked(feed_named, name).name for name in feeds)


def _known_symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.upper() if is_pattern(text) else _symbol(text) for text in symbols)


def _symbol(text: str) -> str:
    """Return a symbol in its canonical form. A symbol in another spelling is rejected: its meaning is only likely."""
    try:
        return str(parse_symbol(text.upper()))
    except SymbolError as error:
        meant = respelt(text)
        raise ValueError(f"{text!r:.80} is not a symbol: did you mean {meant}?" if meant else str(error)) from None


def _require(what: str, names: Collection[str], known: Collection[str], otherwise: str = "") -> None:
    """Raise `ValueError` for the first name that is not known."""
    for name in names:
        if name not in known:
            raise ValueError(unknown(what, masked(name), known, otherwise))


def _known_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    _require("kind", kinds, KINDS)
    return kinds


def _known_channels(names: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(dict.fromkeys((*KINDS, *CHANNELS)))
    found = {text: fnmatch.filter(known, text) for text in names}
    _require("channel", [text for text in names if not found[text]], known, _ALL_CHANNELS)
    return tuple(dict.fromkeys(name for each in found.values() for name in each))


def _fixed_intervals(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return fixed intervals from the shortest on, of which it divides all others."""
    _require("interval", names, FIXED_INTERVALS)
    known = tuple(sorted(set(names), key=length_of))
    for name in known:
        if length_of(name) % length_of(known[0]):
            raise ValueError(f"{name} is not a multiple of {known[0]}, the shortest")
    return known


def _known_variants(variants: dict[str, str]) -> dict[str, str]:
    known = {}
    for text, name in variants.items():
        feed, colon, channel = text.partition(":")
        if not colon:
            raise ValueError(f"{text!r} is not feed:channel")
        _require("channel", [channel], CHANNELS, _ALL_CHANNELS)
        known[f"{_checked(feed_named, feed).name}:{channel}"] = name
    return known


def _every_poll(seconds: dict[str, float]) -> dict[str, float]:
    _require("poll", seconds, POLLS)
    return POLLS | seconds


def _every_channel(seconds: dict[str, float]) -> dict[str, float]:
    _require("channel", seconds, CHANNELS, _ALL_CHANNELS)
    return CHANNEL_TIMEOUT_S | seconds


def _every_job(schedules: dict[str, str]) -> dict[str, str]:
    _require("job", schedules, SCHEDULES)
    for job, schedule in schedules.items():
        if schedule != OFF and schedule != SCHEDULES[job]:
            _check_schedule(job, schedule)
    return SCHEDULES | schedules


def _check_schedule(job: str, schedule: str) -> None:
    try:
        times_of(schedule, datetime.now(UTC))
    except ValueError as error:
        raise ValueError(f"{job}: {error}") from None


def _check_url(what: str, url: str, schemes: tuple[str, str]) -> None:
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no number, or too large
        is_valid = False
    if not is_valid:
        raise ValueError(f"{what}: {masked(url)} is not {schemes[0]}://host:port or {schemes[1]}://host:port")


def _known_endpoints(endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
    for name, endpoint in endpoints.items():
        for url in endpoint.ws:
            _check_url(f"ws of {name}", url, ("ws", "wss"))
        for url in endpoint.rest:
            _check_url(f"rest of {name}", url, ("http", "https"))
    return {_checked(feed_named, name).name: endpoint for name, endpoint in endpoints.items()}


def _by_feed(value: Any) -> Any:
    """Return proxies by feed: those that are written without a feed are for all."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError("what begins with { or [ is not JSON") from None  # it is not shown: it has passwords
    if isinstance(value, dict):
        return {name: _split(proxies) for name, proxies in value.items()}
    return {EVERY: _split(value)} if value else {}


def _known_proxies(proxies: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    _require("feed or exchange", proxies, (EVERY, *dict.fromkeys((*FEEDS, *EXCHANGES))))
    for name, listed in proxies.items():
        if not listed:
            raise ValueError(f"{name}: the list is empty: write {DIRECT} to use none")
        for text in listed:
            if text != DIRECT:
                _check_proxy(name, text)
    return proxies


def _check_proxy(name: str, text: str) -> None:
    try:
        Proxy.parse(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _known_fees(fees: dict[str, float]) -> dict[str, float]:
    known = [name for feed in FEEDS.values() for name in (feed.name, *(f"{feed.name}:{kind}" for kind in feed.kinds))]
    _require("feed or feed:kind", fees, known)
    return fees


def _known_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_key(text) for text in keys)


def _known_aliases(aliases: dict[str, str]) -> dict[str, str]:
    known = {_key(text): _symbol(symbol) for text, symbol in aliases.items()}
    for key, symbol in known.items():
        exchange, own = split_key(key)
        if parse_symbol(own).kind != parse_symbol(symbol).kind:
            raise ValueError(f"{key} and {symbol} are of different kinds")
        if [other for other in known if known[other] == symbol and split_key(other)[0] == exchange] != [key]:
            raise ValueError(f"two instruments of {exchange} cannot both be {symbol}")
    return known


def _key(text: str) -> str:
    """Return `htx:abc-usdt` as a key, `htx:ABC-USDT`, if that exchange has a feed for such symbols."""
    exchange, symbol = split_key(text.strip())
    if not symbol:
        raise ValueError(f"{text!r} is not exchange:symbol")
    _require("exchange", [exchange.lower()], EXCHANGES)
    parsed = _symbol(symbol)
    _checked(lambda each: feed_of(exchange.lower(), each), parsed)
    return key_of(exchange.lower(), parsed)


def _servers(text: str) -> str:
    for server in text.split(","):
        found = _SERVER.fullmatch(server)
        if not found:
            raise ValueError(f"{masked(server)!r} is not host:port")
        _check_port(found[2] or ":9092")
    return text


def _address(text: str) -> str:
    host, port = text.rsplit(":", 1) if ":" in text else ("", "")
    if not host or ":" in host or not re.fullmatch("[0-9]{1,5}", port):
        raise ValueError(f"{text!r:.200} is not host:port")
    _check_port(port)
    return text


def _check_port(port: str) -> None:
    if not 1 <= int(port.lstrip(":")) <= _LAST_PORT:
        raise ValueError(f"port {port.lstrip(':')} is not between 1 and {_LAST_PORT}")


def _clickhouse(url: str) -> str:
    if not _CLICKHOUSE.fullmatch(url):
        forms = "chdb://DIRECTORY nor clickhouse://[user:password@]host[:port], with special characters as %2F"
        raise ValueError(f"{masked(url)!r} is neither {forms}")
    return url


def _checked(check: Callable[[str], R], text: str) -> R:
    try:
        return check(text)
    except SymbolError as error:
        raise ValueError(str(error)) from None


Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
Servers = Annotated[str, AfterValidator(_servers)]
Address = Annotated[str, AfterValidator(_address)]
ClickHouse = Annotated[str, AfterValidator(_clickhouse)]
SomeNames = Annotated[Names, AfterValidator(_some)]
Json = BeforeValidator(_json)
FeedNames = Annotated[SomeNames, AfterValidator(_known_feeds)]
Symbols = Annotated[SomeNames, AfterValidator(_known_symbols)]
KindNames = Annotated[Names, AfterValidator(_known_kinds)]
ChannelNames = Annotated[Names, AfterValidator(_known_channels)]
FixedIntervals = Annotated[Names, AfterValidator(_fixed_intervals)]
Variants = Annotated[dict[str, str], NoDecode, Json, AfterValidator(_known_variants)]
Endpoints = Annotated[dict[str, Endpoint], NoDecode, Json, AfterValidator(_known_endpoints)]
Proxies = Annotated[dict[str, tuple[str, ...]], NoDecode, BeforeValidator(_by_feed), AfterValidator(_known_proxies)]
Timeouts = Annotated[dict[str, Annotated[float, Field(gt=0)]], NoDecode, Json, AfterValidator(_every_channel)]
Periods = Annotated[dict[str, Annotated[float, Field(ge=1, le=86_400)]], NoDecode, Json, AfterValidator(_every_poll)]
Schedules = Annotated[dict[str, str], NoDecode, Json, AfterValidator(_every_job)]
Fees = Annotated[dict[str, Annotated[float, Field(gt=-10_000, lt=10_000)]], NoDecode, Json, AfterValidator(_known_fees)]
Keys = Annotated[Names, AfterValidator(_known_keys)]
Aliases = Annotated[dict[str, str], NoDecode, Json, AfterValidator(_known_aliases)]
