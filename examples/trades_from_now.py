"""Print the trades of an instrument from now on."""

import asyncio

from marketprism.client import trades


async def main() -> None:
    async for trade in trades("BTC-USDT", exchange="okx"):
        print(trade.exchange, trade.symbol, trade.side, trade.price, trade.amount)


if __name__ == "__main__":
    asyncio.run(main())
