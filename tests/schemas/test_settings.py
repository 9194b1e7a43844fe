"""Settings: where they come from, and errors that say what to write."""

from pathlib import Path

import pytest

from schemas.channels import CHANNELS, POLLS
from schemas.errors import SettingsError
from schemas.jobs import SCHEDULES
from schemas.passwords import masked
from schemas.setting_errors import as_toml, as_variable, example_of
from schemas.settings import Settings, load_settings
from schemas.spellings import respelt


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting is taken from the environment, then from marketprism.toml, then from its default."""
    (tmp_path / "marketprism.toml").write_text('partitions = 8\nlinger_ms = 2.5\nfeeds = ["okx"]\n')
    monkeypatch.setenv("MARKETPRISM_PARTITIONS", "16")
    settings = load_settings()
    assert (settings.partitions, settings.linger_ms, settings.feeds) == (16, 2.5, ("okx",))
    assert settings.quote_levels == 5


def test_names_are_canonical(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds and symbols are typed in any case, comma-separated."""
    monkeypatch.setenv("MARKETPRISM_FEEDS", "OKX, binance-spot")
    monkeypatch.setenv("MARKETPRISM_SYMBOLS", "btc-usdt,eth-usdt-perp")
    settings = load_settings()
    assert settings.feeds == ("okx", "binance-spot")
    assert settings.selection_of("binance-spot").exact == ("BTC-USDT",)
    assert settings.selection_of("okx").exact == ("BTC-USDT", "ETH-USDT-PERP")


@pytest.mark.parametrize("text", ["WARNING", "warning", "Warning", " warning "])
def test_log_levels_in_any_case(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A level is typed in any case."""
    monkeypatch.setenv("MARKETPRISM_LOG_LEVEL", text)
    assert load_settings().log_level == "WARNING"


def test_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbols may be patterns, which select from each feed's listed instruments."""
    monkeypatch.setenv("MARKETPRISM_SYMBOLS", "*-usdt,btc-*-perp,SOL-USDC")
    chosen = load_settings().selection_of("binance-usdm")
    assert chosen.exact == ()
    assert [symbol in chosen for symbol in ("ETH-USDT", "BTC-USDC-PERP", "ETH-USDT-PERP", "SOL-USDC")] == [
        True,
        True,
        False,
        False,
    ]
    assert "SOL-USDC" in load_settings().selection_of("binance-spot")


def test_timeout_by_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting one channel's timeout leaves the others at their defaults."""
    monkeypatch.setenv("MARKETPRISM_CHANNEL_TIMEOUT_S", '{"trades": 30}')
    defaults = {name: row.timeout_s for name, row in CHANNELS.items()}
    assert load_settings().channel_timeout_s == defaults | {"trades": 30.0}


def test_channels_may_be_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern stands for all channels and kinds that it matches."""
    monkeypatch.setenv("MARKETPRISM_CHANNELS", "*account_ratios, options")
    assert load_settings().channels == ("top_account_ratios", "account_ratios", "currency_account_ratios", "options")


def test_variants_of_a_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variants are set for one feed's channel each."""
    monkeypatch.setenv("MARKETPRISM_VARIANTS", '{"OKX:books": "books5", "binance-usdm:trades": "aggTrade"}')
    assert load_settings().variants_of("okx") == {"books": "books5"}
    assert load_settings().variants_of("deribit") == {}


def test_poll_period_by_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting one poll's period leaves the others at their defaults."""
    monkeypatch.setenv("MARKETPRISM_POLL_S", '{"open_interest": 10}')
    assert load_settings().poll_s == POLLS | {"open_interest": 10.0}


def test_schedule_by_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting one job's schedule leaves the others at their defaults."""
    monkeypatch.setenv("MARKETPRISM_JOBS", '{"gaps": "*/10 * * * *", "quality": "off"}')
    assert load_settings().jobs == SCHEDULES | {"gaps": "*/10 * * * *", "quality": "off"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FEEDS", "mtgox", "known are binance-spot"),
        ("SYMBOLS", "BITCOIN", "write BTC-USDT"),
        ("KINDS", "trades,klines", "unknown kind 'klines': known are trades, books, quotes"),
        ("CHANNELS", "candles_7m,options", "unknown channel 'candles_7m': did you mean candles_5m?"),
        ("CHANNELS", "klines_*", "unknown channel 'klines_*': docs/coverage.md lists all"),
        ("CHANNELS", "boks", "unknown channel 'boks': did you mean books? Example: mark_prices,"),
        ("FEEDS", "okk", "unknown feed 'okk': did you mean okx? Example: okx,deribit"),
        ("SYMBOLS", "btcusdt", "'btcusdt' is not a symbol: did you mean BTC-USDT? Example: BTC-USDT,"),
        ("VARIANTS", '{"mtgox:trades": "x"}', "known are binance-spot"),
        ("VARIANTS", '{"okx": "books5"}', "'okx' is not feed:channel"),
        ("VARIANTS", '{"okx:boks": "books5"}', "unknown channel 'boks': did you mean books?"),
        ("VARIANTS", "okx:books=books5", "'okx:books=books5' is not JSON. Example: {\"binance-usdm:trades\":"),
        ("VARIANTS", '{"okx:books": 5}', "okx:books: 5 should be a valid string"),
        ("POLL_S", '{"trades": 5}', "unknown poll 'trades': known are open_interest"),
        ("POLL_S", '{"open_interest": 0}', "greater than or equal to 1"),
        ("CHANNEL_TIMEOUT_S", '{"klines": 3}', "unknown channel 'klines': docs/coverage.md"),
        ("CHANNEL_TIMEOUT_S", '{"books": 0}', "greater than 0"),
        ("JOBS", '{"gap": "off"}', "unknown job 'gap': did you mean gaps?"),
        ("JOBS", '{"gaps": "61 * * * *"}', "gaps: '61 * * * *' has a bad minute: write minute, hour, day, month and"),
        ("JOBS", '{"quality": "5 * * * * *"}', "quality: '5 * * * * *' does not have five fields: write minute,"),
        ("JOBS", '{"retention": "0 0 30 2 *"}', "retention: '0 0 30 2 *' has a bad day-of-month: write minute,"),
        ("JOBS", '{"gaps": 5}', "gaps: 5 should be a valid string"),
        ("JOBS", "gaps=off", "'gaps=off' is not JSON. Example: {\"gaps\":"),
        ("DEPTH", "0", "'0' should be greater than or equal to 1. Example: 400"),
        ("PROXIES", '{"mtgox": "direct"}', "unknown feed or exchange 'mtgox': known are *, binance-spot"),
        ("PROXIES", '{"okx": []}', "okx: the list is empty: write direct to use none"),
        ("PROXIES", '{"okx": [5]}', "okx: 0: 5 should be a valid string"),
        ("PROXIES", "h:3128", "a proxy is direct or begins with http://, https://, socks5://, socks5h://. Example: {"),
        ("LOG_LEVEL", "LOUD", "'LOUD' should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'. Example: INFO"),
        ("DISK_LOW_MB", "-1", "'-1' should be greater than or equal to 0"),
        ("PARTITIONS", "four", "'four' should be a valid integer"),
        ("KAFKA", "kafka1:9092,kafka2:port", "'kafka2:port' is not host:port. Example: 127.0.0.1:9092"),
        ("KAFKA", "", "'' is not host:port"),
        ("KAFKA", "kafka1,kafka2:65536", "port 65536 is not between 1 and 65535. Example: 127.0.0.1:9092"),
        ("SQL_ADDRESS", "127.0.0.1:0", "port 0 is not between 1 and 65535. Example: 127.0.0.1:8123"),
        ("SQL_ADDRESS", "127.0.0.1:65536", "port 65536 is not between"),
        ("SQL_ADDRESS", "8123", "'8123' is not host:port"),
        ("SQL_ADDRESS", "a:b:1", "'a:b:1' is not host:port"),
        ("RETENTION_DAYS", "36501", "less than or equal to 36500"),
        ("FEEDS", ",", "the list is empty. Example: okx,deribit"),
        ("SYMBOLS", ",", "the list is empty"),
        ("FEEDS", "Binance", "did you mean binance-spot, binance-usdm, binance-coinm?"),
        ("CLICKHOUSE", "http://x", "'http://x' is neither chdb://DIRECTORY nor clickhouse://[user:password@]host"),
        ("ARBITRAGE_MAX_BPS", "0", "greater than 0"),
        ("ARBITRAGE_MIN_BPS", "nan", "finite"),
        ("FEES_BPS", '{"okx": -10000}', "okx: -10000 should be greater than -10000"),
        ("FEES_BPS", '{"okx:sport": 5}', "unknown feed or feed:kind 'okx:sport': did you mean okx:spot?"),
        ("ARBITRAGE_EXCLUDE", "htx", "is not exchange:symbol"),
        ("ARBITRAGE_EXCLUDE", "htx:ABC-USDT,mtgox:ABC-USDT", "unknown exchange 'mtgox': known are binance, okx"),
        ("ARBITRAGE_EXCLUDE", "binanc:ABC-USDT", "unknown exchange 'binanc': did you mean binance?"),
        ("ARBITRAGE_EXCLUDE", "htx:ABC", "write BTC-USDT"),
        ("ARBITRAGE_EXCLUDE", "binance:BTC-USD-261225-76000-C", "binance has no feed for"),
        ("ARBITRAGE_ALIASES", '{"htx:LUNA-USDT": "LUNC"}', "write BTC-USDT"),
        ("ARBITRAGE_ALIASES", '{"htx:LUNA-USDT": "LUNC-USDT-PERP"}', "different kinds"),
        ("ARBITRAGE_ALIASES", '{"htx:A-USDT": "C-USDT", "htx:B-USDT": "C-USDT"}', "cannot both be C-USDT"),
        ("ENDPOINTS", '{"mtgox": {}}', "known are binance-spot"),
        (
            "ENDPOINTS",
            '{"okx": {"ws": "ftp://host"}}',
            "ws of okx: ftp://host is not ws://host:port or wss://host:port",
        ),
        (
            "ENDPOINTS",
            '{"okx": {"rest": "http://host:abc"}}',
            "http://host:abc is not http://host:port or https://",
        ),
        ("ENDPOINTS", '{"okx": {"rest": "wss://host"}}', "rest of okx: wss://host is not http://host:port or"),
    ],
)
def test_errors_name_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    """An unusable value gives one line: the variable, what was rejected, and an example. Nothing is said twice."""
    monkeypatch.setenv(f"MARKETPRISM_{name}", value)
    with pytest.raises(SettingsError, match=f"^MARKETPRISM_{name}: ") as caught:
        load_settings()
    text = str(caught.value)
    assert message in text
    assert (text.count("\n"), text.count("Example: "), text.count(name)) == (0, 1, 1)


@pytest.mark.parametrize("name", [*Settings.model_fields, "file"])
def test_misspelt_variables(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whichever letter of a variable is wrong, missing or doubled, the error suggests the right one."""
    variable = f"MARKETPRISM_{name.upper()}"
    start = len("MARKETPRISM_")
    for at in range(start, len(variable)):
        head, letter, tail = variable[:at], variable[at], variable[at + 1 :]
        for wrong in (head + tail, f"{head}Z{tail}", head + letter + letter + tail):
            with monkeypatch.context() as patch:
                patch.setenv(wrong, "1")
                with pytest.raises(SettingsError) as caught:
                    load_settings()
            assert str(caught.value) == f"{wrong}: there is no such setting: did you mean {variable}?"


def test_variables_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables are read in any case, so they are checked in any case."""
    monkeypatch.setenv("marketprism_depth", "50")
    assert load_settings().depth == 50
    monkeypatch.setenv("marketprism_dept", "50")
    with pytest.raises(SettingsError, match=r"^marketprism_dept: there is no such setting: did you mean"):
        load_settings()


def test_all_errors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each error has a line of its own."""
    monkeypatch.setenv("MARKETPRISM_QWZJ", "1")
    monkeypatch.setenv("MARKETPRISM_DEPTH", "0")
    monkeypatch.setenv("MARKETPRISM_KINDS", "trads")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    first, *others = str(caught.value).splitlines()
    assert first == "MARKETPRISM_QWZJ: there is no such setting"
    assert sorted(line.partition(":")[0] for line in others) == ["MARKETPRISM_DEPTH", "MARKETPRISM_KINDS"]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_examples_are_good(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """The example of every setting is accepted as it is shown, in the environment and in the file."""
    monkeypatch.setenv(f"MARKETPRISM_{name.upper()}", as_variable(example_of(Settings.model_fields[name])))
    from_environment = load_settings()
    monkeypatch.delenv(f"MARKETPRISM_{name.upper()}")
    (tmp_path / "marketprism.toml").write_text(f"{name} = {as_toml(example_of(Settings.model_fields[name]))}\n")
    assert load_settings() == from_environment
    assert from_environment.model_fields_set == {name}


def test_lists_and_mappings_have_examples() -> None:
    """The default of a list or mapping is empty or long, so it shows nobody how to write one."""
    fields = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    unexplained = [name for name, default in fields.items() if isinstance(default, tuple | dict) or default == ""]
    assert [name for name in unexplained if not Settings.model_fields[name].examples] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLICKHOUSE", "clickhous://user:secret@host"),
        ("CLICKHOUSE", "clickhouse://user:secret@more@host:port"),
        ("CLICKHOUSE", "clickhouse://user:sec/secret@host"),
        ("CLICKHOUSE", "clickhouse://user://secret/more@host"),
        ("CLICKHOUSE", "user:secret@host"),
        ("ENDPOINTS", "ws://user:secret@host"),
        ("ENDPOINTS", '{"okx": "ws://user:secret@host"}'),
        ("ENDPOINTS", '{"okx": {"ws": {"a": "ws://user:secret@host"}}}'),
    ],
)
def test_passwords_are_never_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A rejected value is shown without its password."""
    monkeypatch.setenv(f"MARKETPRISM_{name}", value)
    with pytest.raises(SettingsError, match=r":\*\*\*@host") as caught:
        load_settings()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("partitons = 8", "marketprism.toml, partitons: there is no such setting: did you mean partitions?"),
        (
            'MARKETPRISM_FEEDS = "okx"',
            "marketprism.toml, MARKETPRISM_FEEDS: there is no such setting: did you mean feeds?",
        ),
        ("depth = 0", "marketprism.toml, depth: 0 should be greater than or equal to 1. Example: depth = 400"),
        ('feeds = "okk"', 'feeds: unknown feed \'okk\': did you mean okx? Example: feeds = ["okx","deribit"]'),
        ("poll_s.open_interest = 0", 'equal to 1. Example: poll_s = {"open_interest" = 10}'),
        ("partitions = = 8", "marketprism.toml cannot be read: Invalid value (at line 1"),
    ],
)
def test_errors_in_the_file(tmp_path: Path, line: str, message: str) -> None:
    """An error in the file names the file and the key, and its example is TOML."""
    (tmp_path / "marketprism.toml").write_text(line + "\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert message in str(caught.value)


def test_a_directory_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that the environment names a directory."""
    monkeypatch.setenv("MARKETPRISM_FILE", str(tmp_path))
    with pytest.raises(SettingsError, match=f"^MARKETPRISM_FILE: {tmp_path} is a directory"):
        load_settings()


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the environment names must exist; the default one need not."""
    (tmp_path / "production.toml").write_text("depth = 50\n")
    monkeypatch.setenv("MARKETPRISM_FILE", "production.toml")
    assert load_settings().depth == 50
    monkeypatch.setenv("MARKETPRISM_FILE", "prodction.toml")
    with pytest.raises(SettingsError, match=r"there is no file prodction\.toml: did you mean production\.toml\?"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("BTCUSDT", "BTC-USDT"),
        ("btc/usdt", "BTC-USDT"),
        ("BTC_USDT", "BTC-USDT"),
        ("BTC-USDT-SWAP", "BTC-USDT-PERP"),
        ("BTC-USDT-PREP", "BTC-USDT-PERP"),
        ("BTC-USD-PERPETUAL", "BTC-USD-PERP"),
        ("BTC/USDT:USDT", "BTC-USDT-PERP"),
        ("BITCOIN", ""),
        ("okx:BTC-USDT", ""),
        ("", ""),
    ],
)
def test_other_spellings(text: str, meant: str) -> None:
    """The spellings of exchanges and libraries are recognised."""
    assert respelt(text) == meant


@pytest.mark.parametrize(
    "url",
    [
        "chdb:///data",
        "clickhouse://host",
        "clickhouses://user@host:9440/database?compression=lz4",
        "clickhouse://user:s%2Fecret@10.0.0.1:9000",
        "clickhouse://user:s@cret@[::1]:9000",
    ],
)
def test_clickhouse(url: str) -> None:
    """All forms of ClickHouse's address are accepted."""
    assert load_settings(clickhouse=url).clickhouse == url


@pytest.mark.parametrize("servers", ["kafka", "kafka:9092", "10.0.0.1:9092,kafka-2.example:9093", "[::1]:9092"])
def test_kafka(servers: str) -> None:
    """All forms of Kafka's addresses are accepted."""
    assert load_settings(kafka=servers).kafka == servers


def test_masked() -> None:
    """Only the password of a URL is hidden."""
    assert masked("clickhouse://user:secret@host:9000") == "clickhouse://user:***@host:9000"
    assert masked("clickhouse://user@host:9000") == "clickhouse://user@host:9000"
    assert masked("chdb:///data") == "chdb:///data"


def test_environment_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process that gets `environment()` has the same settings."""
    settings = load_settings(
        feeds=("okx",),
        endpoints={"okx": {"ws": "ws://127.0.0.1:1", "rest": ["http://127.0.0.1:1", "http://127.0.0.1:2"]}},
        proxies={"okx": ["http://user:secret@host:3128", "direct"]},
        partitions=3,
        sql_hosts="prism.example, proxy:80",
    )
    assert settings.endpoints["okx"].ws == ("ws://127.0.0.1:1",)
    assert settings.sql_hosts == ("prism.example", "proxy:80")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_fees() -> None:
    """A configured fee overrides the public one, and a fee by feed and kind overrides one by feed."""
    public = load_settings()
    assert public.taker_fee_bps("okx", "BTC-USDT") == 10.0
    assert public.taker_fee_bps("okx", "BTC-USDT-PERP") == 5.0
    assert public.taker_fee_bps("binance", "BTC-USDT-PERP") == 5.0
    own = load_settings(fees_bps={"okx": 4.0, "okx:spot": 8.0})
    fees = [own.taker_fee_bps("okx", symbol) for symbol in ("BTC-USDT", "BTC-USDT-PERP")]
    assert [*fees, own.taker_fee_bps("deribit", "BTC-USD-PERP")] == [8.0, 4.0, 3.5]
    with pytest.raises(SettingsError, match="unknown feed or feed:kind 'kraken'"):
        load_settings(fees_bps={"kraken": 1.0})


def test_joined_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exclusions and aliases are typed in any case; an aliased symbol no longer means the exchange's own instrument."""
    monkeypatch.setenv("MARKETPRISM_ARBITRAGE_EXCLUDE", "HTX:abc-usdt, okx:XYZ-USDT")
    monkeypatch.setenv("MARKETPRISM_ARBITRAGE_ALIASES", '{"htx:luna-usdt": "lunc-usdt", "htx:LUNA2-USDT": "LUNA-USDT"}')
    settings = load_settings()
    assert settings.arbitrage_exclude == ("htx:ABC-USDT", "okx:XYZ-USDT")
    names = ["ABC-USDT", "LUNA-USDT", "LUNA2-USDT", "LUNC-USDT", "BTC-USDT"]
    assert [settings.joined_symbol("htx", name) for name in names] == ["", "LUNC-USDT", "LUNA-USDT", "", "BTC-USDT"]
    assert [settings.joined_symbol("okx", name) for name in names] == names
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_intervals_of_candles() -> None:
    """They are sorted, and all are multiples of the shortest."""
    assert load_settings(candle_intervals="1h, 1m,5m").candle_intervals == ("1m", "5m", "1h")
    assert load_settings(candle_intervals="").candle_intervals == ()
    for names, reason in (("2h,3h", "3h is not a multiple of 2h"), ("1M", "1M"), ("7m", "7m")):
        with pytest.raises(SettingsError, match=reason):
            load_settings(candle_intervals=names)
