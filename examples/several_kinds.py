"""Follow two kinds at the same time: a task for each, where other libraries have callbacks."""

import asyncio
from collections.abc import AsyncIterable

from marketprism.client import events, funding, trades


async def follow(name: str, found: AsyncIterable[events.Trade | events.Funding]) -> None:
    async for event in found:
        print(name, event.exchange, event)


async def main() -> None:
    await asyncio.gather(follow("trade", trades("BTC-USDT-PERP")), follow("funding", funding("BTC-USDT-PERP")))


if __name__ == "__main__":
    asyncio.run(main())
