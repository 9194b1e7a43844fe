"""Commands to the feeds of a running ingest."""

import asyncio

import typer

from marketprism.cli.common import FeedOption, quiet_libraries, report_errors, say, stack_settings

feeds_app = typer.Typer(no_args_is_help=True, help="Control the feeds of a running ingest.")


@feeds_app.command()
def reconnect(feed: FeedOption = None) -> None:
    """Move connections to new sockets without a gap.

    Old sockets are closed once the new ones receive data, so that no book is interrupted.
    """
    from marketprism.ops.control import ask_to_reconnect

    quiet_libraries()
    with report_errors():
        settings = stack_settings(None, feed)
        asyncio.run(ask_to_reconnect(settings, settings.feeds))
        say(f"requested to reconnect: {', '.join(settings.feeds)}")
