"""Settings: where they come from, and errors that say what to write."""

from pathlib import Path

import pytest

from schemas.channels import CHANNELS, POLLS
from schemas.errors import SettingsError
from schemas.settings import load_settings


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


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FEEDS", "mtgox", "known are binance-spot"),
        ("SYMBOLS", "BITCOIN", "write BTC-USDT"),
        ("KINDS", "trades,klines", "unknown kinds: klines; known are trades, books, quotes"),
        ("CHANNELS", "candles_7m,options", "unknown channels: candles_7m; known are trades"),
        ("CHANNELS", "klines_*", "unknown channels: klines_*"),
        ("VARIANTS", '{"mtgox:trades": "x"}', "known are binance-spot"),
        ("VARIANTS", '{"okx": "books5"}', "is not feed:channel"),
        ("POLL_S", '{"trades": 5}', "unknown polls: trades; known are open_interest"),
        ("POLL_S", '{"open_interest": 0}', "greater than or equal to 1"),
        ("CHANNEL_TIMEOUT_S", '{"klines": 3}', "unknown channels: klines"),
        ("CHANNEL_TIMEOUT_S", '{"books": 0}', "greater than 0"),
        ("DEPTH", "0", "levels per side of a book"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
        ("DISK_LOW_MB", "-1", "free space in the data directory"),
        ("PARTITIONS", "0", "partitions per partitioned topic"),
        ("CLICKHOUSE", "http://x", "chdb://DIRECTORY"),
        ("ARBITRAGE_MAX_BPS", "0", "gross spread"),
        ("ARBITRAGE_MIN_BPS", "nan", "finite"),
        ("FEES_BPS", '{"okx": -10000}', "greater than -10000"),
        ("ARBITRAGE_EXCLUDE", "htx", "is not exchange:symbol"),
        ("ARBITRAGE_EXCLUDE", "htx:ABC-USDT,mtgox:ABC-USDT", "exchanges are binance, okx, htx, deribit"),
        ("ARBITRAGE_EXCLUDE", "htx:ABC", "write BTC-USDT"),
        ("ARBITRAGE_EXCLUDE", "binance:BTC-USD-261225-76000-C", "binance has no feed for"),
        ("ARBITRAGE_ALIASES", '{"htx:LUNA-USDT": "LUNC"}', "write BTC-USDT"),
        ("ARBITRAGE_ALIASES", '{"htx:LUNA-USDT": "LUNC-USDT-PERP"}', "different kinds"),
        ("ARBITRAGE_ALIASES", '{"htx:A-USDT": "C-USDT", "htx:B-USDT": "C-USDT"}', "cannot both be C-USDT"),
        ("ENDPOINTS", '{"mtgox": {}}', "known are binance-spot"),
    ],
)
def test_errors_name_the_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    """An unusable value names its variable and what it accepts."""
    monkeypatch.setenv(f"MARKETPRISM_{name}", value)
    with pytest.raises(SettingsError, match=f"MARKETPRISM_{name}") as caught:
        load_settings()
    assert message in str(caught.value)


def test_unknown_setting_in_the_file(tmp_path: Path) -> None:
    """A misspelt setting is reported, not ignored."""
    (tmp_path / "marketprism.toml").write_text("partitons = 8\n")
    with pytest.raises(SettingsError, match="partitons: there is no such setting"):
        load_settings()


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that is not TOML is named in the error."""
    (tmp_path / "marketprism.toml").write_text("partitions = = 8\n")
    with pytest.raises(SettingsError, match=r"marketprism\.toml"):
        load_settings()


def test_environment_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process that gets `environment()` has the same settings."""
    settings = load_settings(
        feeds=("okx",), endpoints={"okx": {"ws": "ws://127.0.0.1:1"}}, partitions=3, sql_hosts="prism.example, proxy:80"
    )
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
    with pytest.raises(SettingsError, match="fees for unknown feeds: kraken"):
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
