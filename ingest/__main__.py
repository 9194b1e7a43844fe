"""Command line of ingest: `python -m ingest [--feed NAME …]`."""

import asyncio
from typing import Annotated

import typer

from ingest.app import run
from schemas.errors import MarketPrismError
from schemas.feeds import FEEDS
from schemas.logs import configure_logs
from schemas.settings import load_settings


def main(
    feed: Annotated[
        list[str] | None, typer.Option(help=f"ingest only this feed (repeatable): {', '.join(FEEDS)}")
    ] = None,
) -> None:
    """Ingest exchange frames into the raw topics until SIGINT or SIGTERM."""
    try:
        settings = load_settings(feeds=tuple(feed)) if feed else load_settings()
        configure_logs(settings)
        asyncio.run(run(settings))
    except* MarketPrismError as errors:
        raise SystemExit(str(errors.exceptions[0])) from None


if __name__ == "__main__":
    typer.run(main)
