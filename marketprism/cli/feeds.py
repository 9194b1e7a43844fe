"""Commands to the feeds of a running ingest."""

import asyncio

import typer

from marketprism.cli.common import FeedOption, StackOption, quiet_libraries, report_errors, say, stack_settings

feeds_app = typer.Typer(invoke_without_command=True)


@feeds_app.callback()
def feeds(context: typer.Context, data: StackOption = None) -> None:
    """Show which host and proxy each feed uses and why, or control the feeds of a running ingest."""
    from marketprism.ops.hosts import hosts_in_use

    if context.invoked_subcommand:
        return
    quiet_libraries()
    with report_errors():
        for each in hosts_in_use(stack_settings(data)):
            say(f"{each.feed:<13} {each.where:<5} {each.uplink}: {each.reason}")


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
