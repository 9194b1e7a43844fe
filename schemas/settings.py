"""Settings of all processes.

The environment (`MARKETPRISM_…`) overrides the file `marketprism.toml` (or `$MARKETPRISM_FILE`), which overrides the
defaults.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from schemas.channels import POLLS
from schemas.errors import SettingsError
from schemas.events import DEFAULT_KINDS, KINDS
from schemas.feeds import FEEDS, feed_of
from schemas.intervals import FIXED_INTERVALS
from schemas.jobs import JOBS, SCHEDULES
from schemas.keys import key_of, split_key
from schemas.setting_errors import FILE, PREFIX, as_variable, explain, missing_file, unknown_variables
from schemas.setting_types import (
    CHANNEL_TIMEOUT_S,
    EVERY,
    Address,
    Aliases,
    ChannelNames,
    ClickHouse,
    Endpoints,
    FeedNames,
    Fees,
    FixedIntervals,
    Keys,
    KindNames,
    Level,
    Names,
    Periods,
    Proxies,
    Schedules,
    Servers,
    Symbols,
    Timeouts,
    Variants,
)
from schemas.setting_types import Endpoint as Endpoint
from schemas.symbols import Selection, is_pattern, parse_symbol


class Settings(BaseSettings):
    """Every setting with its default; the description says what it does and which values it accepts.

    `examples` are shown when a value is rejected. Without them, the default is the example.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    kafka: Servers = Field("127.0.0.1:9092", description="Kafka's bootstrap servers, host:port[,host:port…]")
    topic_prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]*$", examples=["test."], description="prefix of every topic and group name"
    )
    partitions: Annotated[int, Field(ge=1, le=1024)] = Field(4, description="partitions per partitioned topic")
    replication: Annotated[int, Field(ge=1, le=7)] = Field(1, description="replicas per topic")

    clickhouse: ClickHouse = Field(
        "chdb://data/clickhouse",
        examples=["clickhouse://user:password@host:9000"],
        description="chdb://DIRECTORY (embedded) or clickhouse://[user:password@]host[:9000]",
    )
    database: str = Field(
        "marketprism", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of the ClickHouse database"
    )
    sql_address: Address = Field(
        "127.0.0.1:8123", description="host:port where the sink answers SQL if ClickHouse is embedded"
    )
    sql_hosts: Names = Field(
        (),
        examples=[["prism.example", "proxy:8080"]],
        description="other names (host or host:port) by which clients may reach sql_address, comma-separated",
    )
    api_address: Address = Field("127.0.0.1:8080", description="host:port of the API and the page")
    api_hosts: Names = Field(
        (),
        examples=[["prism.example", "proxy:8080"]],
        description="other names (host or host:port) by which clients may reach api_address, comma-separated",
    )
    api_token: str = Field(
        "",
        pattern=r"^([!-~]{16,256})?$",
        examples=["a-long-random-secret"],
        description="secret that clients of the API and the page must know, at least 16 characters; required if "
        "api_address is reachable from other machines",
    )
    api_requests_per_s: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        1000, description="most requests per second to the API from one client address; 0: no limit"
    )
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        0, description="days that rows are kept; 0: indefinitely"
    )

    feeds: FeedNames = Field(
        tuple(FEEDS), examples=[["okx", "deribit"]], description=f"feeds to ingest, from: {', '.join(FEEDS)}"
    )
    symbols: Symbols = Field(
        ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP", "BTC-USD-PERP", "ETH-USD-PERP"),
        examples=[["BTC-USDT", "ETH-USDT-PERP"]],
        description="canonical symbols to ingest, or patterns (*-USDT, BTC-*-PERP); each feed takes those it lists",
    )
    kinds: KindNames = Field(
        DEFAULT_KINDS,
        examples=[["trades", "books"]],
        description=f"kinds of market data to ingest, from: {', '.join(KINDS)}",
    )
    channels: ChannelNames = Field(
        (),
        examples=[["mark_prices", "open_interest", "candles_*"]],
        description="channels and kinds to ingest besides `kinds`, comma-separated, also as patterns "
        "(docs/coverage.md lists all)",
    )
    variants: Variants = Field(
        default_factory=dict,
        examples=[{"binance-usdm:trades": "aggTrade", "okx:books": "books5"}],
        description="channels to replace by others of the exchange that deliver the same",
    )
    depth: Annotated[int, Field(ge=1, le=5000)] = Field(
        400,
        description="levels per side of a book: each feed uses the smallest depth it offers that is at least this, or "
        "its largest",
    )
    endpoints: Endpoints = Field(
        default_factory=dict,
        examples=[{"okx": {"ws": "ws://127.0.0.1:8080", "rest": ["http://127.0.0.1:8080", "http://127.0.0.1:8081"]}}],
        description="addresses to use instead of the exchange's own, by feed; of several, the first that works",
    )
    proxies: Proxies = Field(
        default_factory=dict,
        examples=[{"okx": ["socks5h://user:password@host:1080", "direct"], "*": ["http://user:password@host:3128"]}],
        description="proxies to the exchanges, by feed, exchange or `*` for all others; of several, the first that "
        "works; `direct`: none; comma-separated for all feeds; if not set, HTTPS_PROXY, ALL_PROXY and NO_PROXY count",
    )
    linger_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        5.0, description="maximum time a frame waits to be batched, ms"
    )
    buffer_mb: Annotated[int, Field(ge=1)] = Field(
        64, description="frames that ingest buffers while the broker is unavailable, MB"
    )

    channel_timeout_s: Timeouts = Field(
        default_factory=lambda: dict(CHANNEL_TIMEOUT_S),
        examples=[{"trades": 30}],
        description="seconds without a frame after which a channel is resubscribed; after as many more, its connection "
        "is replaced",
    )

    poll_s: Periods = Field(
        default_factory=lambda: dict(POLLS),
        examples=[{"open_interest": 10}],
        description="seconds between two polls of what only REST offers, by channel",
    )
    instruments_refresh_s: Annotated[float, Field(gt=0, le=86_400)] = Field(
        300.0, description="seconds between two requests for the exchange's instruments, in addition to what it pushes"
    )

    rest_connections: Annotated[int, Field(ge=1, le=64)] = Field(
        8, description="most connections to one exchange's REST address at a time"
    )

    rest_fallback_after_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        5.0,
        description="seconds without a book by socket after which its quotes are polled by REST; 0: never",
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

    candle_intervals: FixedIntervals = Field(
        ("1s", "1m", "5m", "1h", "1d"),
        examples=[["1m", "5m", "1h"]],
        description="intervals of the candles made of trades, each a multiple of the shortest, comma-separated; empty: "
        f"none; from: {', '.join(FIXED_INTERVALS)}",
    )
    candle_grace_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        2000, description="time after its end at which a candle of trades closes; later trades do not change it, ms"
    )
    candle_empty: Literal["skip", "carry"] = Field(
        "skip",
        description="candles of intervals without trades: `skip` publishes none, `carry` publishes the last close "
        "without volume",
    )

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
    arbitrage_rest_quotes: bool = Field(
        False, description="whether quotes that are polled by REST, as no socket brings the book, may be paired"
    )
    arbitrage_exclude: Keys = Field(
        (),
        examples=[["htx:ABC-USDT"]],
        description="instruments that are never paired, as exchange:symbol, comma-separated",
    )
    arbitrage_aliases: Aliases = Field(
        default_factory=dict,
        examples=[{"htx:LUNA-USDT": "LUNC-USDT"}],
        description="instruments to pair under the symbol that other exchanges use; the exchange's own instrument of "
        "that symbol is then not paired, unless it has an alias too",
    )
    fees_bps: Fees = Field(
        default_factory=dict,
        examples=[{"okx": 4, "binance-spot:spot": 7.5}],
        description="taker fees by feed or feed:kind, if they are not the public retail rates, basis points",
    )

    jobs: Schedules = Field(
        default_factory=lambda: dict(SCHEDULES),
        examples=[{"gaps": "*/10 * * * *", "quality": "off"}],
        description="schedules of the jobs, as cron expressions in UTC, or off; jobs: "
        f"{', '.join(JOBS)} (docs/jobs.md)",
    )

    log_level: Level = Field("INFO", description="lowest level logged: DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(False, description="log JSON lines instead of text")
    disk_low_mb: Annotated[int, Field(ge=0)] = Field(
        1024, description="free space in the data directory below which it is reported as low, MB; 0: never"
    )

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

    def proxies_of(self, feed: str) -> tuple[str, ...]:
        """Return the proxies of a feed, the preferred one first, or `direct`; empty: what the environment names."""
        return self.proxies.get(feed) or self.proxies.get(FEEDS[feed].exchange) or self.proxies.get(EVERY, ())

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
        return {PREFIX + name.upper(): as_variable(value) for name, value in values.items()}


def settings_file() -> Path:
    return Path(os.environ.get(FILE) or "marketprism.toml")


def load_settings(**overrides: Any) -> Settings:
    """Return the settings. Raise `SettingsError`, whose lines each say what is wrong and how to write it."""
    problems = [*unknown_variables(Settings.model_fields), *missing_file()]
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [explain(item, Settings.model_fields, overrides, settings_file()) for item in error.errors()]
    except (ValueError, OSError) as error:
        problems.append(f"{settings_file()} cannot be read: {error}")
    else:
        if not problems:
            return settings
    raise SettingsError("\n".join(problems))
