"""Find what a request names. A name that is unknown is answered with what it may mean."""

from marketprism.api.context import Context
from marketprism.api.feed_state import Instrument
from marketprism.api.problems import RequestProblem, warming
from marketprism.client.order_book import OrderBook
from schemas.errors import SymbolError
from schemas.feeds import EXCHANGES
from schemas.suggestions import unknown


def known_exchange(name: str) -> str:
    """Return the exchange of that name. Raise `SymbolError` if there is none."""
    if name.lower() in EXCHANGES:
        return name.lower()
    raise SymbolError(unknown("exchange", name, EXCHANGES))


def known_symbol(service: Context, name: str, exchange: str | None = None) -> str:
    """Return the symbol of that name that is ingested. Raise `SymbolError` if there is none, 503 while unknown."""
    symbol = name.upper()
    symbols = {each for of, each in service.market.instruments if exchange in (None, of)}
    if symbol in symbols:
        return symbol
    if not service.follower.is_current:
        raise warming(f"{name:.80}")
    place = f" of {exchange}" if exchange else ""
    raise SymbolError(unknown(f"symbol{place}", name, sorted(symbols), f"GET /api/instruments lists {len(symbols)}"))


def instrument_of(service: Context, exchange: str, symbol: str) -> Instrument:
    """Return an instrument. Raise `SymbolError` if it is not ingested."""
    instrument = service.market.instruments.get((exchange, symbol))
    if instrument is None:  # a name in another form, or an unknown one
        exchange = known_exchange(exchange)
        instrument = service.market.instruments[exchange, known_symbol(service, symbol, exchange)]
    return instrument


def book_of(service: Context, exchange: str, symbol: str) -> OrderBook:
    """Return a rebuilt book. Raise `SymbolError` for an unknown instrument, 503 until the book is known."""
    book = service.market.books.get((exchange, symbol))
    if book is None:
        instrument = instrument_of(service, exchange, symbol)
        book = service.market.books.get((instrument.exchange, instrument.symbol))
    if book is None:
        raise warming(f"the book of {instrument.symbol} on {instrument.exchange}")
    return book


def only_one(**given: object) -> None:
    """Raise 422 unless exactly one of these parameters is given."""
    if sum(value is not None for value in given.values()) != 1:
        raise RequestProblem(422, f"give one of {' and '.join(given)}")
