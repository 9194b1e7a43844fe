"""Types of settings: how each is written, and which values it accepts."""

import fnmatch
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from schemas.channels import CHANNELS, CONTINUOUS, POLLS, candles_of
from schemas.errors import SymbolError
from schemas.events import KINDS
from schemas.feeds import EXCHANGES, FEEDS, feed_named, feed_of
from schemas.intervals import INTERVALS
from schemas.keys import key_of, split_key
from schemas.symbols import is_pattern, parse_symbol

CHANNEL_TIMEOUT_S = {channel.name: channel.timeout_s for channel in CHANNELS.values()}
R = TypeVar("R")


class Endpoint(BaseModel):
    """Addresses of a feed; empty means the exchange's own."""

    model_config = ConfigDict(extra="forbid")

    ws: str = ""
    rest: str = ""


def _split(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _known_feeds(feeds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_checked(feed_named, name).name for name in feeds)


def _known_symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    names = [text.upper() for text in symbols]
    return tuple(name if is_pattern(name) else str(_checked(parse_symbol, name)) for name in names)


def _known_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in kinds if name not in KINDS]:
        raise ValueError(f"unknown kinds: {', '.join(unknown)}; known are {', '.join(KINDS)}")
    return kinds


def _listed(channels: Iterable[str]) -> str:
    """List channels, those of candles by their intervals."""
    plain = [name for name in channels if "candles_" not in name]
    return ", ".join([*plain, *(candles_of(f"<{'|'.join(INTERVALS)}>", contract) for contract in ("", *CONTINUOUS))])


def _known_channels(names: tuple[str, ...]) -> tuple[str, ...]:
    known = dict.fromkeys((*KINDS, *CHANNELS))
    found = {text: [name for name in known if fnmatch.fnmatchcase(name, text)] for text in names}
    if unknown := [text for text in names if not found[text]]:
        raise ValueError(f"unknown channels: {', '.join(unknown)}; known are {_listed(known)}")
    return tuple(dict.fromkeys(name for each in found.values() for name in each))


def _known_variants(variants: dict[str, str]) -> dict[str, str]:
    known = {}
    for text, name in variants.items():
        feed, _, channel = text.partition(":")
        if channel not in CHANNELS:
            raise ValueError(f"{text!r} is not feed:channel")
        known[f"{_checked(feed_named, feed).name}:{channel}"] = name
    return known


def _every_poll(seconds: dict[str, float]) -> dict[str, float]:
    if unknown := [name for name in seconds if name not in POLLS]:
        raise ValueError(f"unknown polls: {', '.join(unknown)}; known are {', '.join(POLLS)}")
    return POLLS | seconds


def _every_channel(seconds: dict[str, float]) -> dict[str, float]:
    if unknown := [name for name in seconds if name not in CHANNELS]:
        raise ValueError(f"unknown channels: {', '.join(unknown)}; known are {_listed(CHANNELS)}")
    return CHANNEL_TIMEOUT_S | seconds


def _known_endpoints(endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
    return {_checked(feed_named, name).name: endpoint for name, endpoint in endpoints.items()}


def _known_fees(fees: dict[str, float]) -> dict[str, float]:
    known = {name for feed in FEEDS.values() for name in (feed.name, *(f"{feed.name}:{kind}" for kind in feed.kinds))}
    if unknown := sorted(set(fees) - known):
        raise ValueError(f"fees for unknown feeds: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return fees


def _known_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_key(text) for text in keys)


def _known_aliases(aliases: dict[str, str]) -> dict[str, str]:
    known = {_key(text): str(_checked(parse_symbol, symbol.upper())) for text, symbol in aliases.items()}
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
    if exchange.lower() not in EXCHANGES or not symbol:
        raise ValueError(f"{text!r} is not exchange:symbol; exchanges are {', '.join(EXCHANGES)}")
    parsed = str(_checked(parse_symbol, symbol.upper()))
    _checked(lambda each: feed_of(exchange.lower(), each), parsed)
    return key_of(exchange.lower(), parsed)


def _checked(check: Callable[[str], R], text: str) -> R:
    try:
        return check(text)
    except SymbolError as error:
        raise ValueError(str(error)) from None


Upper = Annotated[str, BeforeValidator(_upper)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]  # `a,b` in the environment
FeedNames = Annotated[Names, AfterValidator(_known_feeds)]
Symbols = Annotated[Names, AfterValidator(_known_symbols)]
KindNames = Annotated[Names, AfterValidator(_known_kinds)]
ChannelNames = Annotated[Names, AfterValidator(_known_channels)]
Variants = Annotated[dict[str, str], AfterValidator(_known_variants)]
Endpoints = Annotated[dict[str, Endpoint], AfterValidator(_known_endpoints)]
Timeouts = Annotated[dict[str, Annotated[float, Field(gt=0)]], AfterValidator(_every_channel)]
Periods = Annotated[dict[str, Annotated[float, Field(ge=1, le=86_400)]], AfterValidator(_every_poll)]
Fees = Annotated[dict[str, Annotated[float, Field(gt=-10_000, lt=10_000)]], AfterValidator(_known_fees)]
Keys = Annotated[Names, AfterValidator(_known_keys)]
Aliases = Annotated[dict[str, str], AfterValidator(_known_aliases)]
