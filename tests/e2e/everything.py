"""Settings that ingest every kind of every simulated instrument."""

from typing import Any

from marketprism.simulator.market.listings import LISTINGS, OPTIONS
from schemas.events import KINDS

EVERYTHING: dict[str, Any] = {
    "symbols": sorted({listing.symbol for listing in (*LISTINGS, *OPTIONS)}),
    "kinds": [kind for kind in KINDS if kind != "candles"],
    "channels": ["candles_1m"],
}
