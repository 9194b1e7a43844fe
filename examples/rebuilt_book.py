"""Print the three best levels and the spread of a book whenever it changes."""

import asyncio

from marketprism.client import books


async def main() -> None:
    async for book in books("BTC-USDT", exchange="okx"):
        bids, asks = book.levels(3)
        print(book.state, *bids, "|", *asks)
        if book.best_bid and book.best_ask:
            print("spread", book.best_ask.price - book.best_bid.price)


if __name__ == "__main__":
    asyncio.run(main())
