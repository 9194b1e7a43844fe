"""Order books: one, several, merged, at a past time, and figures of one."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from marketprism.api.answers import json_answer, not_modified, tag_of
from marketprism.api.book_answers import FORMATS, Format, accumulated, head_of, merged, simple
from marketprism.api.book_views import amount_of, cost_of, imbalance_of, plain, spread_of, value_of, within
from marketprism.api.context import Service
from marketprism.api.instruments import Key
from marketprism.api.lookup import book_of, instrument_of, known_exchange, known_symbol, only_one
from marketprism.api.past_books import book_at
from marketprism.api.problems import warming
from marketprism.api.routes.book_models import (
    CostAnswer,
    CumulativeAnswer,
    EnhancedBook,
    HealthAnswer,
    ImbalanceAnswer,
    LegacyBook,
    MergedBook,
    PastBook,
    SimpleBook,
    SpreadAnswer,
    StatisticsAnswer,
    WithinAnswer,
)
from marketprism.api.routes.parameters import ExchangePath, SymbolPath
from marketprism.api.spans import now_us
from marketprism.client.level import Level
from marketprism.client.order_book import OrderBook

router = APIRouter(prefix="/api", tags=["order books"])

_MINUTE = 60_000_000  # µs

Depth = Annotated[int, Query(ge=1, le=10_000, description="levels per side")]
AnyBook = EnhancedBook | SimpleBook | LegacyBook
FormatOption = Annotated[
    Format,
    Query(description="enhanced: with ages and figures; simple: best prices; legacy: arrays of numbers, as CCXT has"),
]
PositiveDecimal = Annotated[Decimal, Query(gt=0, max_digits=36, decimal_places=18)]


@router.get("/books", response_model=list[AnyBook], summary="Books of several symbols")
async def several(
    service: Service,
    symbol: Annotated[list[str], Query(min_length=1, max_length=50, description="repeat it for several")],
    exchange: Annotated[list[str] | None, Query(max_length=10, description="of these exchanges only")] = None,
    depth: Depth = 20,
    format: FormatOption = "enhanced",
) -> Response:
    """Return the books of several symbols, on every exchange that has them."""
    symbols = {known_symbol(service, name) for name in symbol}
    exchanges = {known_exchange(name) for name in exchange or ()}
    books = [
        book for book in _books(service) if book.symbol in symbols and (book.exchange in exchanges or not exchange)
    ]
    return _answer([FORMATS[format](book, depth) for book in books])


@router.get("/symbols/{symbol}/books", response_model=list[AnyBook], summary="Books of a symbol on all exchanges")
async def on_all_exchanges(
    service: Service, symbol: SymbolPath, depth: Depth = 20, format: FormatOption = "enhanced"
) -> Response:
    """Return a symbol's books on all exchanges."""
    return _answer([FORMATS[format](book, depth) for book in _books_of(service, symbol)])


@router.get("/symbols/{symbol}/merged", response_model=MergedBook, summary="Merged book of a symbol")
async def all_merged(service: Service, symbol: SymbolPath, depth: Depth = 20) -> Response:
    """Return a symbol's live books in one, each level with the exchanges that hold it."""
    live = [book for book in _books_of(service, symbol) if book.state == "live"]
    return _answer(merged(symbol.upper(), live, depth))


@router.get(
    "/books/{exchange}/{symbol}",
    response_model=AnyBook,
    responses={304: {"description": "Not Modified"}},
    summary="Book",
)
async def one(
    request: Request,
    service: Service,
    exchange: ExchangePath,
    symbol: SymbolPath,
    depth: Depth = 20,
    format: FormatOption = "enhanced",
) -> Response:
    """Return a book."""
    book = book_of(service, exchange, symbol)
    version = f"{book.sequence}-{book.local_timestamp}-{book.state}-{depth}-{format}"
    if answer := not_modified(request, version):
        return answer
    answer = _answer(FORMATS[format](book, depth))
    answer.headers["ETag"] = tag_of(version)
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@router.get("/books/{exchange}/{symbol}/best", response_model=SimpleBook, summary="Best bid and ask")
async def best(service: Service, exchange: ExchangePath, symbol: SymbolPath) -> Response:
    """Return a book's best prices and the amounts there."""
    return _answer(simple(book_of(service, exchange, symbol)))


@router.get("/books/{exchange}/{symbol}/within", response_model=WithinAnswer, summary="Liquidity within a distance")
async def within_bps(
    service: Service,
    exchange: ExchangePath,
    symbol: SymbolPath,
    bps: Annotated[float, Query(ge=0, le=10_000, description="basis points from the best price of each side")] = 10.0,
) -> Response:
    """Return what each side holds within a distance of its best price."""
    book = book_of(service, exchange, symbol)
    distance = Decimal(str(bps))
    sides = {name: _total(side.best, list(side), distance) for name, side in (("bids", book.bids), ("asks", book.asks))}
    return _answer({**head_of(book), "bps": bps, **sides})


def _total(best: Level | None, levels: list[Level], bps: Decimal) -> dict[str, Any]:
    found = within(levels, best.price, bps) if best else []
    return {
        "levels": len(found),
        "amount": plain(amount_of(found)),
        "value": plain(value_of(found)),
        "worst_price": found[-1].price_text if found else None,
    }


@router.get("/books/{exchange}/{symbol}/cumulative", response_model=CumulativeAnswer, summary="Cumulative depth")
async def cumulated(service: Service, exchange: ExchangePath, symbol: SymbolPath, depth: Depth = 100) -> Response:
    """Return each level with the amount and the value of all levels up to it."""
    book = book_of(service, exchange, symbol)
    bids, asks = book.levels(depth)
    return _answer({**head_of(book), "bids": accumulated(bids), "asks": accumulated(asks)})


@router.get("/books/{exchange}/{symbol}/spread", response_model=SpreadAnswer, summary="Spread and mid")
async def spread(service: Service, exchange: ExchangePath, symbol: SymbolPath) -> Response:
    """Return spread and mid."""
    book = book_of(service, exchange, symbol)
    found = spread_of(book)
    bid, ask = book.best_bid, book.best_ask
    return _answer(
        {
            **head_of(book),
            "bid": bid.price_text if bid else None,
            "ask": ask.price_text if ask else None,
            "spread": plain(found.spread) if found else None,
            "mid": plain(found.mid) if found else None,
            "spread_bps": found.spread_bps if found else None,
        }
    )


@router.get("/books/{exchange}/{symbol}/imbalance", response_model=ImbalanceAnswer, summary="Imbalance")
async def imbalance(service: Service, exchange: ExchangePath, symbol: SymbolPath, depth: Depth = 5) -> Response:
    """Return which side holds more in its best levels."""
    book = book_of(service, exchange, symbol)
    bids, asks = book.levels(depth)
    return _answer(
        {
            **head_of(book),
            "depth": depth,
            "bid_amount": plain(amount_of(bids)),
            "ask_amount": plain(amount_of(asks)),
            "imbalance": imbalance_of(bids, asks),
        }
    )


@router.get("/books/{exchange}/{symbol}/cost", response_model=CostAnswer, summary="Cost of an immediate order")
async def cost(
    service: Service,
    exchange: ExchangePath,
    symbol: SymbolPath,
    side: Annotated[Literal["buy", "sell"], Query(description="of the order")],
    amount: Annotated[PositiveDecimal | None, Query(description="base units")] = None,
    value: Annotated[PositiveDecimal | None, Query(description="quote units, instead of `amount`")] = None,
) -> Response:
    """Return what it costs to buy, or brings to sell, at once: average price and slippage, without fees."""
    only_one(amount=amount, value=value)
    book = book_of(service, exchange, symbol)
    found = cost_of(book, side, amount, value)
    return _answer(
        {
            **head_of(book),
            "side": side,
            **found._asdict(),
            "amount": plain(found.amount),
            "value": plain(found.value),
            "average_price": plain(found.average_price) if found.average_price is not None else None,
            "worst_price": plain(found.worst_price) if found.worst_price is not None else None,
        }
    )


@router.get("/books/{exchange}/{symbol}/statistics", response_model=StatisticsAnswer, summary="Book statistics")
async def statistics(service: Service, exchange: ExchangePath, symbol: SymbolPath) -> Response:
    """Return a book's size and how often it changes."""
    book = book_of(service, exchange, symbol)
    updates = service.market.history[book.exchange, book.symbol].updates
    since = now_us() - _MINUTE
    span = min(_MINUTE, now_us() - min(updates, default=0))
    recent = sum(at >= since for at in updates)
    return _answer(
        {
            **head_of(book),
            "bid_levels": len(book.bids),
            "ask_levels": len(book.asks),
            "bid_amount": plain(amount_of(book.bids)),
            "ask_amount": plain(amount_of(book.asks)),
            "updates_per_second": round(recent * 1e6 / max(span, 1), 2),
        }
    )


@router.get("/books/{exchange}/{symbol}/health", response_model=HealthAnswer, summary="Book health")
async def health(service: Service, exchange: ExchangePath, symbol: SymbolPath) -> Response:
    """Return whether a book can be trusted: its state, its open gaps, and the truth check."""
    book = book_of(service, exchange, symbol)
    gaps = [orjson.loads(gap) for gap in service.market.open_items("gaps", (book.exchange, book.symbol))]
    truth = service.market.history[book.exchange, book.symbol].truth
    return _answer(
        {
            **head_of(book),
            "open_gaps": sorted(gap["cause"] for gap in gaps if gap["channel"] == "books"),
            "truth": {"compared": truth.compared, "agreed": truth.agreed, "differed": truth.differed},
        }
    )


@router.get("/books/{exchange}/{symbol}/at", response_model=PastBook, summary="Book at a past time")
async def at_a_time(
    service: Service,
    exchange: ExchangePath,
    symbol: SymbolPath,
    time: Annotated[str, Query(max_length=40, description="ISO 8601, µs since the epoch, or `10m ago`; of receipt")],
    depth: Depth = 1000,
) -> Response:
    """Return the book as it was at a time, from ClickHouse; 404 if it was not live then."""
    instrument = instrument_of(service, exchange, symbol)
    return _answer(await book_at(service.queries, instrument.exchange, instrument.symbol, time, depth))


def _books(service: Service) -> list[OrderBook]:
    keys: list[Key] = sorted(service.market.books)
    return [service.market.books[key] for key in keys]


def _books_of(service: Service, symbol: str) -> list[OrderBook]:
    name = known_symbol(service, symbol)
    books = [book for book in _books(service) if book.symbol == name]
    if not books:
        raise warming(f"the book of {name}")
    return books


def _answer(body: Any) -> Response:
    return json_answer(orjson.dumps(body))
