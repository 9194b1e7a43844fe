"""The registry of channels: what is subscribed to, or polled, and watched, one instrument at a time.

A channel is a subscription, a kind is what is published (`schemas/events/`). One channel may carry several kinds, as
Deribit's `tickers` does, and one kind may come from several channels, as OKX's funding does. Where an exchange has no
stream of a channel, it may be polled by REST (`ingest/polls.py`).
"""

from dataclasses import dataclass

from schemas.intervals import INTERVALS

_RARE = 7 * 86_400.0  # s: a channel that may have nothing to say for days


@dataclass(frozen=True, slots=True)
class Channel:
    """`timeout_s`: seconds without a message after which the watchdog acts, unless the settings say otherwise.

    `usual_s`: seconds within which there is a message of an instrument that is traded much; 0: it may have nothing to
    say for long. `poll_s`: seconds between two polls of a feed that has no stream of it; 0: never polled.
    """

    name: str
    timeout_s: float
    usual_s: float = 0.0
    poll_s: float = 0.0


CONTINUOUS = ("perpetual", "current_quarter", "next_quarter")
"""Continuous contracts of a pair, of which Binance has candles of `CONTINUOUS_INTERVALS`."""

CONTINUOUS_INTERVALS = (
    "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M",
)  # fmt: skip


def candles_of(interval: str, contract: str = "") -> str:
    """Return the channel of an interval's candles: `candles_1m`, `current_quarter_candles_1m`."""
    return f"{contract}_candles_{interval}" if contract else f"candles_{interval}"


def family_of(channel: str) -> str:
    """Return `candles` or `continuous_candles` for the channels of all their intervals, else the channel itself."""
    before, is_candles, _ = channel.partition("candles_")
    return f"{'continuous_' if before else ''}candles" if is_candles else channel


CHANNELS: dict[str, Channel] = {
    channel.name: channel
    for channel in (
        Channel("trades", 600.0, usual_s=30.0),
        Channel("books", 75.0, usual_s=10.0),  # OKX repeats a quiet book every 60 s
        Channel("quotes", 75.0, usual_s=10.0),
        Channel("tickers", 600.0, usual_s=30.0),  # OKX sends one only on a trade or a new BBO
        Channel("funding", 300.0, usual_s=90.0),
        Channel("mark_prices", 75.0, usual_s=15.0),
        Channel("index_prices", 150.0, usual_s=15.0),
        Channel("settlement_prices", _RARE),
        Channel("open_interest", 75.0, usual_s=15.0, poll_s=60.0),
        Channel("liquidations", _RARE),
        Channel("options", 150.0),
        *(Channel(candles_of(name), 600.0, usual_s=30.0) for name in INTERVALS),
        *(Channel(candles_of(name, CONTINUOUS[0]), 600.0, usual_s=30.0) for name in CONTINUOUS_INTERVALS),
        # Most pairs have no quarterly contracts. Their streams are acknowledged and stay silent.
        *(Channel(candles_of(name, contract), _RARE) for contract in CONTINUOUS[1:] for name in CONTINUOUS_INTERVALS),
        Channel("funding_history", _RARE, poll_s=3600.0),
        Channel("top_account_ratios", _RARE, poll_s=300.0),
        Channel("top_position_ratios", _RARE, poll_s=300.0),
        Channel("account_ratios", _RARE, poll_s=300.0),
        Channel("taker_volumes", _RARE, poll_s=300.0),
        Channel("currency_account_ratios", _RARE, poll_s=300.0),
        Channel("currency_taker_volumes", _RARE, poll_s=300.0),
    )
}

POLLS: dict[str, float] = {channel.name: channel.poll_s for channel in CHANNELS.values() if channel.poll_s}

CORE_CHANNELS = ("trades", "books", "quotes")
"""Channels that every feed has. Markers that name no channels are about these."""
