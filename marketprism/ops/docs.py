"""Write the README's generated tables: topics, feeds and settings. `python -m marketprism.ops.docs` rewrites them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from schemas.events import EVENTS
from schemas.feeds import EXCHANGES, FEEDS, Feed
from schemas.settings import PREFIX, Settings
from schemas.topics import TOPICS, raw_topic

README = Path(__file__).parents[2] / "README.md"
MOST_USED = (
    "kafka", "clickhouse", "feeds", "symbols", "kinds", "depth", "channel_timeout_s", "instruments_refresh_s",
    "arbitrage_window_ms", "arbitrage_min_bps", "arbitrage_max_bps", "arbitrage_exclude", "arbitrage_aliases",
    "fees_bps", "poison_attempts", "sql_hosts", "retention_days", "topic_prefix", "disk_low_mb",
)  # fmt: skip
_KINDS = {"spot": "spot", "perp": "perpetuals", "future": "futures", "option": "options"}
_MARGINS = {None: "linear and inverse", False: "linear", True: "inverse"}
_DAY = 86_400_000  # ms


def rewritten(text: str) -> str:
    """Return a page with its tables as the registries have them. Raise `ValueError` if a table's markers are missing.

    A table is between the comments `<!-- name -->` and `<!-- /name -->`.
    """
    for name, table in (("topics", topics()), ("feeds", feeds()), ("settings", settings())):
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not (opening and closing):
            raise ValueError(f"the page lacks <!-- {name} --> or <!-- /{name} -->, between which its table belongs")
        text = f"{before}{opening}\n{table}\n{closing}{after}"
    return text


def topics() -> str:
    """Return the table of topics, without the internal ones."""
    raw = TOPICS[raw_topic(EXCHANGES[0])]
    rows = [("`raw.<exchange>`", "", _days(raw.retention_ms), raw.meaning)]
    for name, event in EVENTS.items():
        rows.append((f"`{name}`", f"`{event.table_name}`", _days(TOPICS[name].retention_ms), event.meaning))
    return _table(("topic", "ClickHouse table", "kept", "contents"), rows)


def feeds() -> str:
    """Return the table of feeds."""
    rows = [(f"`{feed.exchange}`", f"`{feed.name}`", _instruments(feed)) for feed in FEEDS.values()]
    return _table(("exchange", "feed", "instruments"), rows)


def settings() -> str:
    """Return the table of the most used settings."""
    rows = []
    for name in MOST_USED:
        field = Settings.model_fields[name]
        description = re.sub(r"([*|<])", r"\\\1", field.description or "")
        rows.append((f"`{PREFIX}{name.upper()}`", _default(field), description))
    return _table(("setting", "default", "meaning"), rows)


def _days(milliseconds: int) -> str:
    days = milliseconds // _DAY
    return f"{days} day" if days == 1 else f"{days} days"


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
    return f"`{text}`" if text not in ("", "{}") else "none"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |")


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text("utf-8")), "utf-8")
