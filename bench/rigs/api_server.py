"""Serve one order book of 400 levels a side: by the API, or by a bare FastAPI route that answers the same bytes."""

import sys

import orjson
import uvicorn
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp

from marketprism.api.app import create_app
from marketprism.api.book_answers import enhanced
from marketprism.api.market import Market
from marketprism.api.records import decoder_of
from marketprism.api.server import config_of
from schemas.settings import load_settings

PATH = "/api/books/binance/BTC-USDT?depth=20"
_LEVELS = 400


def book_record() -> bytes:
    """Return the snapshot of the book."""
    bids = [[f"{60_000 - number / 100:.2f}", f"{1 + number / 1000:.5f}"] for number in range(_LEVELS)]
    asks = [[f"{60_001 + number / 100:.2f}", f"{1 + number / 1000:.5f}"] for number in range(_LEVELS)]
    head = {"source": "binance:0:1:0:0", "exchange": "binance", "symbol": "BTC-USDT"}
    times = {"timestamp": 1_790_000_000_000_000, "local_timestamp": 1_790_000_000_001_000}
    return orjson.dumps(head | times | {"type": "snapshot", "sequence": 1, "previous": 0, "bids": bids, "asks": asks})


def ours(port: int) -> ASGIApp:
    """Return the API with the book."""
    app = create_app(load_settings(kafka="127.0.0.1:9", api_address=f"127.0.0.1:{port}", api_requests_per_s=0))
    fill(app.state.context.market)
    return app


def fill(market: Market) -> None:
    """Apply the snapshot."""
    record = decoder_of("books")(book_record())
    assert record is not None
    market.apply(record)


def bare() -> ASGIApp:
    """Return an application with one route, which encodes the same answer."""
    market = Market()
    fill(market)
    answer = enhanced(market.books["binance", "BTC-USDT"], 20)
    app = FastAPI(openapi_url=None)

    @app.get("/api/books/{exchange}/{symbol}")
    async def book(exchange: str, symbol: str, depth: int = 20) -> Response:
        return Response(orjson.dumps(answer), media_type="application/json")

    return app


if __name__ == "__main__":
    which, port = sys.argv[1], int(sys.argv[2])
    config = config_of(ours(port) if which == "ours" else bare())
    config.host, config.port = "127.0.0.1", port
    uvicorn.Server(config).run()
