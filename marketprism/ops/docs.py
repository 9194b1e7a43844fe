"""Write the generated tables of the README and of pages in docs/. `python -m marketprism.ops.docs` rewrites them."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from ingest.exchanges import CONNECTORS
from ingest.exchanges.base import Connector
from marketprism.ops.topic_list import contents, kept, topic_groups
from schemas.channels import CHANNELS
from schemas.events import DEFAULT_KINDS, KINDS, TABLES
from schemas.feeds import EXCHANGES, FEEDS, Feed
from schemas.intervals import INTERVALS
from schemas.setting_errors import PREFIX, as_variable
from schemas.settings import Settings
from schemas.symbols import Kind
from schemas.topics import raw_topic

_ROOT = Path(__file__).parents[2]
README, COVERAGE, SETTINGS = (_ROOT / name for name in ("README.md", "docs/coverage.md", "docs/settings.md"))
_KINDS = {"spot": "spot", "perp": "perpetuals", "future": "futures", "option": "options"}
_MARGINS = {None: "linear and inverse", False: "linear", True: "inverse"}
_RAW = "raw.<exchange>"
_LONGEST = 400  # characters of a default


def rewritten(page: Path) -> str:
    """Return a page with its tables as the registries have them. Raise `ValueError` if a table's markers are missing.

    A table is between the comments `<!-- name -->` and `<!-- /name -->`.
    """
    text = page.read_text("utf-8")
    for name, table in PAGES[page].items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not (opening and closing):
            raise ValueError(f"{page.name} lacks <!-- {name} --> or <!-- /{name} -->, between which its table belongs")
        text = f"{before}{opening}\n{table()}\n{closing}{after}"
    return text


def topics() -> str:
    """Return the table of topics, the internal ones last."""
    rows = []
    for first, *others in topic_groups():
        names = [_RAW] if first.name == raw_topic(EXCHANGES[0]) else [topic.name for topic in (first, *others)]
        table = f"`{TABLES[first.name]}`" if first.name in TABLES else ""
        rows.append((", ".join(f"`{name}`" for name in names), first.key, table, kept(first), contents(first)))
    return _table(("topic", "key", "ClickHouse table", "kept", "contents"), rows)


def feeds() -> str:
    """Return the table of feeds."""
    rows = [(f"`{feed.exchange}`", f"`{feed.name}`", _instruments(feed)) for feed in FEEDS.values()]
    return _table(("exchange", "feed", "instruments"), rows)


def settings() -> str:
    """Return the table of all settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        meaning = re.sub(r"([*|<])", r"\\\1", field.description or "")
        example = f"; example: `{as_variable(field.examples[0])}`" if field.examples else ""
        rows.append((f"`{PREFIX}{name.upper()}`", _default(field), meaning + example))
    return _table(("setting", "default", "meaning"), rows)


def kinds() -> str:
    """Return the table of kinds by feed: live, polled, or why there are none."""
    rows = [
        (
            f"**`{kind}`**" if kind in DEFAULT_KINDS else f"`{kind}`",
            *(_source(each, kind) for each in CONNECTORS.values()),
        )
        for kind in KINDS
    ]
    return _table(("kind", *(f"`{name}`" for name in CONNECTORS)), rows)


def _source(connector: type[Connector], kind: str) -> str:
    """Return how a feed carries a kind, or why it does not."""
    live = any(kind in (row.kinds or (name,)) for name, row in connector.channels.items())
    polled = any(kind in row.kinds for row in connector.polls.values())
    ways = [word for word, is_true in (("live", live), ("polled", polled)) if is_true]
    return ", ".join(ways) or f"– ({connector.without[kind]})"


def channels() -> str:
    """Return the table of channels: what each feed calls them, or the path that it polls. Candles have a table."""
    names = [name for name in CHANNELS if "candles_" not in name]
    rows = [(f"`{name}`", *(_own_name(each, name) for each in CONNECTORS.values())) for name in names]
    return _table(("channel", *(f"`{name}`" for name in CONNECTORS)), rows)


def _own_name(connector: type[Connector], channel: str) -> str:
    """Return the exchange's name of a channel, or of the one that has its kind too."""
    if row := connector.channels.get(channel):
        names = [row.name, *(variant.name for variant in row.variants)]
        return " or ".join(f"`{name}`" for name in names) + _only_of(connector, row.of)
    if poll := connector.polls.get(channel):
        return f"`GET {poll.path}`{_only_of(connector, poll.of)}"
    return next((f"in `{row.name}`" for row in connector.channels.values() if channel in row.kinds), "")


def _only_of(connector: type[Connector], kinds: tuple[Kind, ...]) -> str:
    """Return which of a feed's instruments have it, if not all."""
    own = [kind for kind in FEEDS[connector.name].kinds if kind in kinds]
    return f" ({', '.join(own)})" if own and len(own) < len(FEEDS[connector.name].kinds) else ""


def candles() -> str:
    """Return the table of candles: the intervals of each feed, by channel."""
    stems = dict.fromkeys(name.rpartition("_")[0] for name in CHANNELS if "candles_" in name)
    rows = [(f"`{stem}_…`", *(_intervals(each, stem) for each in CONNECTORS.values())) for stem in stems]
    return _table(("channels", *(f"`{name}`" for name in CONNECTORS)), rows)


def _intervals(connector: type[Connector], stem: str) -> str:
    return " ".join(name for name in INTERVALS if f"{stem}_{name}" in connector.channels)


def _instruments(feed: Feed) -> str:
    """Describe a feed's instruments: `spot, linear perpetuals and futures, options`."""
    parts = [_KINDS[kind] for kind in feed.kinds if kind not in ("perp", "future")]
    if contracts := [_KINDS[kind] for kind in feed.kinds if kind in ("perp", "future")]:
        parts.insert("spot" in feed.kinds, f"{_MARGINS[feed.inverse]} {' and '.join(contracts)}")
    return ", ".join(parts)


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        text = ", ".join(value)
        if text and field.description.endswith(text):  # the description lists all
            return "all"
    else:
        text = value if isinstance(value, str) else re.sub(r"\.0\b", "", orjson.dumps(value).decode())
        if len(text) > _LONGEST:
            return "by channel"
    return f"`{text}`" if text not in ("", "{}") else "none"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in line)}|\n" for line in lines)


PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"topics": topics, "feeds": feeds},
    SETTINGS: {"settings": settings},
    COVERAGE: {"kinds": kinds, "channels": channels, "candles": candles},
}


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(rewritten(each), "utf-8")
