"""Commands about the Kafka topics and the events in them."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.table import Table

from marketprism.cli.common import console, report_errors, settings_with


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the missing topics on the broker.")] = False,
    discard: Annotated[
        bool,
        typer.Option("--discard-checkpoints", help="Delete the workers' checkpoints. Stop all workers before."),
    ] = False,
) -> None:
    """List the topics, create them, or discard the workers' checkpoints."""
    from marketprism.ops.topics import create_topics, discard_checkpoints
    from schemas.topics import TOPICS

    with report_errors():
        settings = settings_with()
        if create:
            created = asyncio.run(create_topics(settings))
            console.print(f"created {len(created)} topics on {settings.kafka}", *created, sep="\n  ", highlight=False)
            return
        if discard:
            names = asyncio.run(discard_checkpoints(settings))
            console.print(f"discarded {len(names)} topics on {settings.kafka}", *names, sep="\n  ", highlight=False)
            console.print("restart workers and ingest: books wait for new snapshots", highlight=False)
            return
        table = Table("topic", "key", "partitions", "retention", "contents", box=None, header_style="dim")
        for topic in TOPICS.values():
            hours = f"{topic.retention_ms // 3_600_000} h"
            partitions = str(topic.partitions or settings.partitions)
            table.add_row(settings.topic(topic.name), topic.key, partitions, hours, topic.meaning)
        console.print(table)


def schemas() -> None:
    """Print the JSON Schema of every event, by topic."""
    import orjson

    from schemas.events import json_schemas

    sys.stdout.buffer.write(orjson.dumps(json_schemas(), option=orjson.OPT_INDENT_2) + b"\n")
