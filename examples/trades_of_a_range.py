"""Compute the VWAP of the last hour's trades."""

import asyncio
from datetime import UTC, datetime, timedelta

from marketprism.client import trades


async def main() -> None:
    end = datetime.now(UTC)
    found = [trade async for trade in trades("BTC-USDT", exchange="okx", start=end - timedelta(hours=1), end=end)]
    if volume := sum(trade.amount for trade in found):
        print(len(found), "trades, VWAP", sum(trade.price * trade.amount for trade in found) / volume)


if __name__ == "__main__":
    asyncio.run(main())
