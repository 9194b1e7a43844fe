"""Commands about the Kafka topics and the events in them."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.text import Text

from marketprism.cli.common import console, plain_table, quiet_libraries, report_errors, say, stack_settings
from schemas.errors import SettingsError
from schemas.events import TABLES
from schemas.settings import Settings
from schemas.suggestions import unknown


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the missing topics on the broker.")] = False,
    discard: Annotated[
        bool,
        typer.Option("--discard-checkpoints", help="Delete the workers' checkpoints. Stop all workers first."),
    ] = False,
) -> None:
    """List the topics, create them, or discard the workers' checkpoints."""
    from marketprism.ops.topics import create_topics, discard_checkpoints

    with report_errors():
        quiet_libraries()
        settings = stack_settings()
        if create:
            created = asyncio.run(create_topics(settings))
            _print_names(f"created {len(created)} topics on {settings.kafka}", created)
        elif discard:
            names = asyncio.run(discard_checkpoints(settings))
            _print_names(f"discarded {len(names)} topics on {settings.kafka}", names)
            say("restart workers and ingest: books wait for new snapshots")
        else:
            _print_list(settings)


def _print_names(text: str, names: list[str]) -> None:
    say("\n  ".join((text, *names)))


def _print_list(settings: Settings) -> None:
    """Print two tables, as an internal topic's long name would leave the others little room."""
    from marketprism.ops.topic_list import contents, kept, topic_groups

    groups = topic_groups()
    for is_internal in (False, True):
        table = plain_table()
        table.add_column("topic", no_wrap=True)
        table.add_column("key", width=len("exchange:currency"))
        table.add_column("kept", no_wrap=True)
        table.add_column("contents", overflow="fold")
        for group in groups:
            if group[0].is_internal is is_internal:
                names = "\n".join(settings.topic(topic.name) for topic in group)
                table.add_row(names, *map(escape, (group[0].key, kept(group[0]), contents(group[0]))))
        console.print(table, emoji=False)
        console.print()
    others = [f"{settings.topic(each.name)} {each.partitions}" for group in groups for each in group if each.partitions]
    console.print(Text(f"partitions: {settings.partitions} (setting `partitions`), {', '.join(others)}"))


def schemas(
    topic: Annotated[
        str, typer.Option(help="Print the schema of this topic alone, named as `market.trades` or `trades`.")
    ] = "",
) -> None:
    """Print the JSON Schema of every event, by topic."""
    import orjson

    from schemas.events import json_schemas

    with report_errors():
        found = json_schemas()
        printed = found[_event_topic(topic)] if topic else found
        sys.stdout.buffer.write(orjson.dumps(printed, option=orjson.OPT_INDENT_2) + b"\n")


def _event_topic(name: str) -> str:
    """Return the topic of that name, or of the ClickHouse table of that name."""
    by_name = {table: topic for topic, table in TABLES.items()} | {topic: topic for topic in TABLES}
    if name not in by_name:
        raise SettingsError(unknown("event topic", name, by_name, f"known are {', '.join(TABLES)}"))
    return by_name[name]
