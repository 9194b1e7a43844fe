"""Print the best prices of all USDT perpetuals on two exchanges."""

import asyncio

from marketprism.client import quotes


async def main() -> None:
    async for quote in quotes("*-USDT-PERP", exchange=("binance", "okx")):
        if quote.bids and quote.asks:
            print(quote.exchange, quote.symbol, quote.bids[0].price, quote.asks[0].price)


if __name__ == "__main__":
    asyncio.run(main())
