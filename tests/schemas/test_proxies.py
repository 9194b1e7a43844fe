"""Proxies: their addresses, which one is used, and that no password is shown."""

import pytest

from schemas.errors import SettingsError
from schemas.proxies import Proxy, proxy_for
from schemas.settings import load_settings

FULL = "http://user:pa%2Fss@proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_an_address() -> None:
    """All parts are read; the text and the representation lack the password, and the URL has it as it was written."""
    proxy = Proxy.parse(FULL)
    assert (proxy.scheme, proxy.host, proxy.port, proxy.user, proxy.password) == (
        "http", "proxy.example", 3128, "user", "pa/ss",
    )  # fmt: skip
    assert proxy.url == FULL
    assert str(proxy) == "http://user:***@proxy.example:3128"
    assert "pa" not in repr(proxy)
    assert str(Proxy.parse("socks5h://[::1]")) == "socks5h://[::1]:1080"


@pytest.mark.parametrize(
    "text",
    [
        "http://user:secret",
        "http://user:sec#ret@host:1",
        "http://user:sec,ret@host:1",
        "http://user:sec/ret@host:1",
        "http://user:secret@host:port",
        "http://user:secret@host:1/path",
        "http://user:secret@",
        "http://secret@host:1",
        "http://user:sec\u2100ret@host:1",
        "http://host:3128@user:secret",
        "http://user:sec\u00e4ret@host:1",
        "socks5://user:" + "sec" * 100 + "@host:1",
        '{"http://user:secret@host:1": "okx"}',
        "user:secret@host:1",
        "ftp://user:secret@host:1",
        '{"okx": ["http://user:secret@host:1"',
        '{"okx": {"a": "http://user:secret@host:1"}}',
    ],
)
def test_no_error_shows_a_password(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with a proxy, the error shows no part of its password."""
    monkeypatch.setenv("MARKETPRISM_PROXIES", text)
    with pytest.raises(SettingsError) as found:
        load_settings()
    assert str(found.value).startswith("MARKETPRISM_PROXIES: ")
    before_example = str(found.value).partition("Example:")[0]
    assert not any(part in before_example for part in ("sec", "ret@", "\u2100"))


def test_proxies_of_a_feed() -> None:
    """Those of the feed count, then those of its exchange, then those of all."""
    settings = load_settings(proxies={"binance-spot": "direct", "binance": "http://b:1,http://c:1", "*": "http://d:1"})
    assert settings.proxies_of("binance-spot") == ("direct",)
    assert settings.proxies_of("binance-usdm") == ("http://b:1", "http://c:1")
    assert settings.proxies_of("okx") == ("http://d:1",)
    assert load_settings().proxies_of("okx") == ()
    assert load_settings(proxies="http://a:1, socks5://b:1").proxies_of("okx") == ("http://a:1", "socks5://b:1")


def test_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is for TLS, ALL_PROXY for all; NO_PROXY and this machine are exempt."""
    assert proxy_for("wss://ws.okx.com:8443") is None
    monkeypatch.setenv("ALL_PROXY", "socks5://all.example")
    monkeypatch.setenv("HTTPS_PROXY", "secure.example:3128")
    monkeypatch.setenv("NO_PROXY", ".deribit.com,api.huobi.pro:443")
    found = {address: str(proxy_for(address)) for address in ("wss://ws.okx.com:8443", "https://okx.com", "ws://a.b")}
    assert list(found.values()) == ["http://secure.example:3128"] * 2 + ["socks5://all.example:1080"]
    for address in ("wss://www.deribit.com", "https://api.huobi.pro:443", "https://127.0.0.1:1", "ws://localhost:1"):
        assert proxy_for(address) is None


def test_a_malformed_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable, and not the password."""
    monkeypatch.setenv("HTTPS_PROXY", "socks4://user:secret@host:1")
    with pytest.raises(SettingsError, match=r"^HTTPS_PROXY: a proxy is direct or begins") as found:
        proxy_for("https://okx.com")
    assert "secret" not in str(found.value)
