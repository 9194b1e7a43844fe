"""Print the trades of the last ten minutes, and then those from now on."""

import asyncio
from datetime import UTC, datetime, timedelta

from marketprism.client import trades


async def main() -> None:
    async for trade in trades("BTC-USDT", exchange="okx", start=datetime.now(UTC) - timedelta(minutes=10)):
        print(trade.local_timestamp, trade.price, trade.amount)


if __name__ == "__main__":
    asyncio.run(main())
