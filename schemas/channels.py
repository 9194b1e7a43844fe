"""The registry of channels: what is subscribed to and watched, one instrument at a time.

A channel is a subscription, a kind is what is published (`schemas/events.py`). One channel may carry several kinds,
as Deribit's `ticker` does, and one kind may come from several channels, as OKX's funding does.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Channel:
    """`timeout_s`: seconds without a message after which the watchdog acts, unless the settings say otherwise."""

    name: str
    timeout_s: float


CHANNELS: dict[str, Channel] = {
    channel.name: channel
    for channel in (
        Channel("trades", 600.0),
        Channel("books", 75.0),  # OKX repeats a quiet book every 60 s
        Channel("quotes", 75.0),
        Channel("mark_prices", 75.0),
        Channel("funding", 300.0),
        Channel("index_prices", 150.0),
        Channel("tickers", 75.0),
    )
}

CORE_CHANNELS = ("trades", "books", "quotes")
"""Channels that every feed has. Markers that name no channels are about these."""
