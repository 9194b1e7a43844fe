"""Print arbitrage opportunities of all symbols as they open."""

import asyncio

from marketprism.client import signals


async def main() -> None:
    async for signal in signals():
        if signal.type == "opened":
            print(f"{signal.symbol}: buy {signal.amount} on {signal.buy.exchange} at {signal.buy.price},")
            print(f"sell on {signal.sell.exchange} at {signal.sell.price}: {signal.profit} after fees")


if __name__ == "__main__":
    asyncio.run(main())
