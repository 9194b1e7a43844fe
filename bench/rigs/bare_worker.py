"""A minimal Faust worker with one agent that reads the raw topics and does nothing.

Run it with `faust -A bench.rigs.bare_worker worker`.
"""

from typing import Any

import faust

from schemas.feeds import EXCHANGES
from schemas.settings import load_settings
from schemas.topics import raw_topic

settings = load_settings()
app = faust.App(settings.topic("bare"), broker=f"kafka://{settings.kafka}", store="memory://", autodiscover=False)
raw_channel = app.topic(*(settings.topic(raw_topic(name)) for name in EXCHANGES), value_serializer="raw")


@app.agent(raw_channel)
async def discard(stream: Any) -> None:
    async for _ in stream:
        pass
