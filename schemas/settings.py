"""Settings of all processes.

The environment (`MARKETPRISM_…`) overrides the file `marketprism.toml` (or `$MARKETPRISM_FILE`), which overrides the
defaults.
"""

import fnmatch
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from schemas.channels import CHANNELS, POLLS
from schemas.errors import SettingsError, SymbolError
from schemas.events import DEFAULT_KINDS, KINDS
from schemas.feeds import EXCHANGES, FEEDS, feed_named, feed_of
from schemas.keys import key_of, split_key
from schemas.symbols import Selection, is_pattern, parse_symbol

PREFIX = "MARKETPRISM_"
_CHANNEL_TIMEOUT_S = {channel.name: channel.timeout_s for channel in CHANNELS.values()}
R = TypeVar("R")


def _split(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]  # `a,b` in the environment


class Endpoint(BaseModel):
    """Addresses of a feed; empty means the exchange's own."""

    model_config = ConfigDict(extra="forbid")

    ws: str = ""
    rest: str = ""


class Settings(BaseSettings):
    """Every setting with its default; the description says what it does and which values it accepts."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    kafka: str = Field("127.0.0.1:9092", description="Kafka's bootstrap servers, host:port[,host:port…]")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="prefix of every topic and group name")
    partitions: Annotated[int, Field(ge=1, le=1024)] = Field(4, description="partitions per partitioned topic")
    replication: Annotated[int, Field(ge=1, le=7)] = Field(1, description="replicas per topic")

    clickhouse: str = Field(
        "chdb://data/clickhouse",
        pattern=r"^(chdb://.+|clickhouses?://.+)$",
        description="chdb://DIRECTORY (embedded) or clickhouse://[user:password@]host[:9000]",
    )
    database: str = Field(
        "marketprism", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of the ClickHouse database"
    )
    sql_address: str = Field(
        "127.0.0.1:8123",
        pattern=r"^[^:]+:\d+$",
        description="host:port where the sink answers SQL if ClickHouse is embedded",
    )
    sql_hosts: Names = Field(
        (), description="other names (host or host:port) by which clients may reach sql_address, comma-separated"
    )
    retention_days: Annotated[int, Field(ge=0)] = Field(0, description="days that rows are kept; 0: indefinitely")

    feeds: Names = Field(tuple(FEEDS), description=f"feeds to ingest, from: {', '.join(FEEDS)}")
    symbols: Names = Field(
        ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP", "BTC-USD-PERP", "ETH-USD-PERP"),
        description="canonical symbols to ingest, or patterns (*-USDT, BTC-*-PERP); each feed takes those it lists",
    )
    kinds: Names = Field(DEFAULT_KINDS, description=f"kinds of market data to ingest, from: {', '.join(KINDS)}")
    channels: Names = Field(
        (),
        description="channels and kinds to ingest besides `kinds`, comma-separated, also as patterns: mark_prices, "
        "open_interest, liquidations, long_short_ratios, options, candles_1m, candles_*",
    )
    variants: dict[str, str] = Field(
        default_factory=dict,
        description='channels to replace by others of the exchange that deliver the same: {"binance-usdm:trades": '
        '"aggTrade", "okx:books": "books5"}',
    )
    depth: Annotated[int, Field(ge=1, le=5000)] = Field(
        400,
        description="levels per side of a book: each feed uses the smallest depth it offers that is at least this, or "
        "its largest",
    )
    endpoints: dict[str, Endpoint] = Field(
        default_factory=dict,
        description='addresses to use instead of the exchange\'s own, by feed: {"okx": {"ws": "ws://…", '
        '"rest": "http://…"}}',
    )
    linger_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        5.0, description="maximum time a frame waits to be batched, ms"
    )
    buffer_mb: Annotated[int, Field(ge=1)] = Field(
        64, description="frames that ingest buffers while the broker is unavailable, MB"
    )

    channel_timeout_s: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: dict(_CHANNEL_TIMEOUT_S),
        description="seconds without a frame after which a channel is resubscribed; after as many more, its connection "
        "is replaced",
    )

    poll_s: dict[str, Annotated[float, Field(ge=1, le=86_400)]] = Field(
        default_factory=lambda: dict(POLLS),
        description="seconds between two polls of what only REST offers, by channel",
    )
    instruments_refresh_s: Annotated[float, Field(gt=0, le=86_400)] = Field(
        300.0, description="seconds between two requests for the exchange's instruments, in addition to what it pushes"
    )

    checkpoint_s: Annotated[float, Field(gt=0, le=60)] = Field(
        1.0, description="minimum seconds between checkpoints, which take at most a fiftieth of a worker's time"
    )
    poison_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        3, description="number of failed attempts after which a record is set aside as a dead letter"
    )
    clock_limit_ms: Annotated[int, Field(ge=1)] = Field(
        5000, description="clock skew beyond this is reported as wrong_clock, ms"
    )
    snapshot_s: Annotated[float, Field(gt=0)] = Field(60.0, description="seconds between published book snapshots")
    book_stale_after_s: Annotated[float, Field(gt=0)] = Field(
        70.0, description="seconds without a book message after which a book is stale"
    )
    quote_levels: Annotated[int, Field(ge=1, le=50)] = Field(5, description="levels per side of a quote")

    arbitrage_window_ms: Annotated[int, Field(ge=1)] = Field(
        500, description="maximum time between two quotes that may be paired, ms"
    )
    arbitrage_min_bps: Annotated[float, Field(allow_inf_nan=False)] = Field(
        0.0, description="net spread, after both fees, from which a signal opens, basis points"
    )
    arbitrage_max_bps: Annotated[float, Field(gt=0)] = Field(
        2000.0,
        description="gross spread beyond which two prices cannot be of the same coin, so that no signal opens, "
        "basis points",
    )
    arbitrage_exclude: Names = Field(
        (), description="instruments that are never paired, as exchange:symbol (htx:ABC-USDT), comma-separated"
    )
    arbitrage_aliases: dict[str, str] = Field(
        default_factory=dict,
        description='instruments to pair under the symbol that other exchanges use: {"htx:LUNA-USDT": "LUNC-USDT"}; '
        "the exchange's own instrument of that symbol is then not paired, unless it has an alias too",
    )
    fees_bps: dict[str, Annotated[float, Field(gt=-10_000, lt=10_000)]] = Field(
        default_factory=dict,
        description='taker fees by "feed" or "feed:kind", if they are not the public retail rates, basis points',
    )

    log_level: Annotated[str, BeforeValidator(_upper)] = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="lowest level logged: DEBUG, INFO, WARNING or ERROR"
    )
    log_json: bool = Field(False, description="log JSON lines instead of text")
    disk_low_mb: Annotated[int, Field(ge=0)] = Field(
        1024, description="free space in the data directory below which it is reported as low, MB; 0: never"
    )

    @field_validator("feeds")
    @classmethod
    def _known_feeds(cls, feeds: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked(feed_named, name).name for name in feeds)

    @field_validator("symbols")
    @classmethod
    def _known_symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        names = [text.upper() for text in symbols]
        return tuple(name if is_pattern(name) else str(_checked(parse_symbol, name)) for name in names)

    @field_validator("kinds")
    @classmethod
    def _known_kinds(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in kinds if name not in KINDS]:
            raise ValueError(f"unknown kinds: {', '.join(unknown)}; known are {', '.join(KINDS)}")
        return kinds

    @field_validator("channels")
    @classmethod
    def _known_channels(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = dict.fromkeys((*KINDS, *CHANNELS))
        found = {text: [name for name in known if fnmatch.fnmatchcase(name, text)] for text in names}
        if unknown := [text for text in names if not found[text]]:
            raise ValueError(f"unknown channels: {', '.join(unknown)}; known are {', '.join(known)}")
        return tuple(dict.fromkeys(name for each in found.values() for name in each))

    @field_validator("variants")
    @classmethod
    def _known_variants(cls, variants: dict[str, str]) -> dict[str, str]:
        for text in variants:
            feed, _, channel = text.partition(":")
            _checked(feed_named, feed)
            if channel not in CHANNELS:
                raise ValueError(f"{text!r} is not feed:channel")
        return variants

    @field_validator("poll_s")
    @classmethod
    def _every_poll(cls, seconds: dict[str, float]) -> dict[str, float]:
        if unknown := [name for name in seconds if name not in POLLS]:
            raise ValueError(f"unknown polls: {', '.join(unknown)}; known are {', '.join(POLLS)}")
        return POLLS | seconds

    @field_validator("channel_timeout_s")
    @classmethod
    def _every_channel(cls, seconds: dict[str, float]) -> dict[str, float]:
        if unknown := [name for name in seconds if name not in CHANNELS]:
            raise ValueError(f"unknown channels: {', '.join(unknown)}; known are {', '.join(CHANNELS)}")
        return _CHANNEL_TIMEOUT_S | seconds

    @field_validator("endpoints")
    @classmethod
    def _known_endpoints(cls, endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
        return {_checked(feed_named, name).name: endpoint for name, endpoint in endpoints.items()}

    @field_validator("fees_bps")
    @classmethod
    def _known_fees(cls, fees: dict[str, float]) -> dict[str, float]:
        known = {
            name for feed in FEEDS.values() for name in (feed.name, *(f"{feed.name}:{kind}" for kind in feed.kinds))
        }
        if unknown := sorted(set(fees) - known):
            raise ValueError(f"fees for unknown feeds: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return fees

    @field_validator("arbitrage_exclude")
    @classmethod
    def _known_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_key(text) for text in keys)

    @field_validator("arbitrage_aliases")
    @classmethod
    def _known_aliases(cls, aliases: dict[str, str]) -> dict[str, str]:
        known = {_key(text): str(_checked(parse_symbol, symbol.upper())) for text, symbol in aliases.items()}
        for key, symbol in known.items():
            exchange, own = split_key(key)
            if parse_symbol(own).kind != parse_symbol(symbol).kind:
                raise ValueError(f"{key} and {symbol} are of different kinds")
            if [other for other in known if known[other] == symbol and split_key(other)[0] == exchange] != [key]:
                raise ValueError(f"two instruments of {exchange} cannot both be {symbol}")
        return known

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file())

    def topic(self, name: str) -> str:
        """Return the full name of a topic or group, with the prefix."""
        return self.topic_prefix + name

    def selection_of(self, feed: str) -> Selection:
        """Return the configured symbols that a feed can serve, and all patterns."""
        carries = FEEDS[feed].carries
        return Selection(text for text in self.symbols if is_pattern(text) or carries(parse_symbol(text)))

    def variants_of(self, feed: str) -> dict[str, str]:
        """Return the selected variants of a feed's channels, by channel."""
        pairs = ((text.partition(":"), name) for text, name in self.variants.items())
        return {channel: name for (each, _, channel), name in pairs if each == feed}

    def taker_fee_bps(self, exchange: str, symbol: str) -> float:
        """Return the taker fee of an instrument, in basis points."""
        feed, kind = feed_of(exchange, symbol).name, parse_symbol(symbol).kind
        return self.fees_bps.get(f"{feed}:{kind}", self.fees_bps.get(feed, FEEDS[feed].taker_bps[kind]))

    def joined_symbol(self, exchange: str, symbol: str) -> str:
        """Return the symbol under which an instrument is paired with other exchanges'; empty if it never is."""
        key = key_of(exchange, symbol)
        if key in self.arbitrage_exclude:
            return ""
        if key in self.arbitrage_aliases:
            return self.arbitrage_aliases[key]
        taken = any(
            symbol == alias and split_key(other)[0] == exchange for other, alias in self.arbitrage_aliases.items()
        )
        return "" if taken else symbol

    def environment(self) -> dict[str, str]:
        """Return these settings as environment variables, for child processes."""
        values = self.model_dump(mode="json")
        return {
            PREFIX + name.upper(): ",".join(value) if type(value) is list else _text(value)
            for name, value in values.items()
        }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _key(text: str) -> str:
    """Return `htx:abc-usdt` as a key, `htx:ABC-USDT`, if that exchange has a feed for such symbols."""
    exchange, symbol = split_key(text.strip())
    if exchange.lower() not in EXCHANGES or not symbol:
        raise ValueError(f"{text!r} is not exchange:symbol; exchanges are {', '.join(EXCHANGES)}")
    parsed = str(_checked(parse_symbol, symbol.upper()))
    _checked(lambda each: feed_of(exchange.lower(), each), parsed)
    return key_of(exchange.lower(), parsed)


def settings_file() -> Path:
    return Path(os.environ.get(PREFIX + "FILE", "marketprism.toml"))


def load_settings(**overrides: Any) -> Settings:
    """Return the settings. Raise `SettingsError` naming each unusable one and what it accepts."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(item) for item in error.errors())) from None
    except (ValueError, OSError) as error:  # an unreadable TOML file, or an environment variable that is not JSON
        raise SettingsError(f"settings cannot be read ({settings_file()} and {PREFIX}*): {error}") from None


def _explain(item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else "settings"
    field = Settings.model_fields.get(name)
    if field is None and item["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    accepts = f"; it accepts: {field.description}" if field else ""
    return f"{PREFIX}{name.upper()} ({name}): {item['msg']}, got {item['input']!r}{accepts}"


def _checked(check: Callable[[str], R], text: str) -> R:
    try:
        return check(text)
    except SymbolError as error:
        raise ValueError(str(error)) from None
