"""The instruments that the simulated exchanges list, with their real tick, lot and contract sizes."""

from dataclasses import dataclass, replace
from decimal import Context, Decimal

from marketprism.simulator.market.prices import START_PRICES
from schemas.errors import StackError
from schemas.feeds import to_exchange
from schemas.symbols import parse_symbol

_QUANTUM = Decimal("1e-18")  # precision of base amounts that are quotients, the same as in the pipeline's events
_CONTEXT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument of one feed. The market counts prices in ticks and amounts in lots (of contracts on derivatives).

    `contract`: value of one unit of the exchange's amounts, in base units, or in the quote currency if `inverse`, which
    an option never is: its contracts are worth coins.
    `price_decimals`, `amount_decimals`: digits that the exchange writes after the point; -1: no trailing zeros.
    `typical`: usual amount of one level, in base units.
    """

    feed: str
    symbol: str
    tick: Decimal
    lot: Decimal
    typical: float
    contract: Decimal = Decimal(1)
    inverse: bool = False
    price_decimals: int = -1
    amount_decimals: int = -1

    @property
    def exchange_symbol(self) -> str:
        return to_exchange(self.feed, self.symbol)

    @property
    def underlying(self) -> str:
        return parse_symbol(self.symbol).base

    @property
    def quote(self) -> str:
        return parse_symbol(self.symbol).quote

    @property
    def typical_lots(self) -> float:
        """The usual amount of one level in lots."""
        units = self.typical * START_PRICES[self.underlying] if self.inverse else self.typical
        return units / float(self.lot * self.contract)

    def price_text(self, ticks: int) -> str:
        """Return a price as the exchange writes it."""
        return _text(ticks * self.tick, self.price_decimals)

    def amount_text(self, lots: int) -> str:
        """Return an amount as the exchange writes it."""
        return _text(lots * self.lot, self.amount_decimals)

    def price(self, ticks: int) -> Decimal:
        """Return a price in the quote currency; of an option in its base currency."""
        return ticks * self.tick

    def base_amount(self, lots: int, ticks: int) -> Decimal:
        """Return the value of an amount at a price, in base units."""
        amount = lots * self.lot * self.contract
        if not self.inverse:
            return amount
        return _CONTEXT.divide(amount, self.price(ticks)).quantize(_QUANTUM, context=_CONTEXT)


def _text(value: Decimal, decimals: int) -> str:
    if decimals >= 0:
        return f"{value:.{decimals}f}"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _spot(symbol: str, lot: str, typical: float) -> Listing:
    return Listing("binance-spot", symbol, Decimal("0.01"), Decimal(lot), typical, price_decimals=8, amount_decimals=8)


def _usdm(symbol: str, tick: str, typical: float) -> Listing:
    return Listing(
        "binance-usdm", symbol, Decimal(tick), Decimal("0.001"), typical, price_decimals=2, amount_decimals=3
    )


def _coinm(symbol: str, tick: str, typical: float, contract: str) -> Listing:
    """Return a coin-margined contract; prices have the tick's decimals, amounts are whole contracts."""
    listing = _inverse("binance-coinm", symbol, tick, "1", typical, contract)
    return replace(listing, price_decimals=len(tick.partition(".")[2]), amount_decimals=0)


def _inverse(feed: str, symbol: str, tick: str, lot: str, typical: float, contract: str) -> Listing:
    return Listing(feed, symbol, Decimal(tick), Decimal(lot), typical, Decimal(contract), inverse=True)


def _option(feed: str, symbol: str, lot: str, typical: float, contract: str) -> Listing:
    """Return an inverse option: its price is in coins, and its amounts are coins or contracts of a part of a coin."""
    return Listing(feed, symbol, Decimal("0.0001"), Decimal(lot), typical, Decimal(contract))


LISTINGS: tuple[Listing, ...] = (
    _spot("BTC-USDT", "0.00001", 0.6),
    _spot("ETH-USDT", "0.0001", 9.0),
    _usdm("BTC-USDT-PERP", "0.1", 2.5),
    _usdm("ETH-USDT-PERP", "0.01", 40.0),
    Listing("okx", "BTC-USDT", Decimal("0.1"), Decimal("0.00000001"), 0.4),
    Listing("okx", "ETH-USDT", Decimal("0.01"), Decimal("0.000001"), 6.0),
    Listing("okx", "BTC-USDT-PERP", Decimal("0.1"), Decimal("0.01"), 1.8, Decimal("0.01")),
    Listing("okx", "ETH-USDT-PERP", Decimal("0.01"), Decimal("0.01"), 30.0, Decimal("0.1")),
    Listing("htx-spot", "BTC-USDT", Decimal("0.01"), Decimal("0.000001"), 0.3),
    Listing("htx-spot", "ETH-USDT", Decimal("0.01"), Decimal("0.0001"), 5.0),
    Listing("htx-linear", "BTC-USDT-PERP", Decimal("0.1"), Decimal(1), 1.2, Decimal("0.001")),
    Listing("htx-linear", "ETH-USDT-PERP", Decimal("0.01"), Decimal(1), 20.0, Decimal("0.01")),
    _inverse("okx", "BTC-USD-PERP", "0.1", "1", 1.2, "100"),
    _inverse("okx", "ETH-USD-PERP", "0.01", "1", 20.0, "10"),
    _inverse("deribit", "BTC-USD-PERP", "0.5", "10", 1.5, "1"),
    _inverse("deribit", "ETH-USD-PERP", "0.05", "1", 25.0, "1"),
    Listing("deribit", "BTC-USDC-PERP", Decimal(1), Decimal("0.0001"), 0.3),
    Listing("deribit", "BTC-USDC", Decimal(1), Decimal("0.0001"), 0.2),
    _coinm("BTC-USD-PERP", "0.1", 1.5, "100"),
    _coinm("ETH-USD-PERP", "0.01", 25.0, "10"),
    _coinm("BTC-USD-261225", "0.1", 0.5, "100"),
)

OPTIONS: tuple[Listing, ...] = (
    _option("deribit", "BTC-USD-270625-90000-C", "0.1", 5.0, "1"),
    _option("deribit", "BTC-USD-270625-90000-P", "0.1", 4.0, "1"),
    _option("okx", "BTC-USD-270625-95000-C", "1", 3.0, "0.01"),
    _option("okx", "BTC-USD-270625-80000-P", "1", 2.5, "0.01"),
)
"""Inverse options. No two exchanges have one in common: a tick of such prices is worth more than two taker fees."""


def listings_of(feed: str) -> list[Listing]:
    """Return a feed's instruments; `StackError` if it is unknown."""
    found = [listing for listing in (*LISTINGS, *OPTIONS) if listing.feed == feed]
    if not found:
        known = ", ".join(dict.fromkeys(listing.feed for listing in LISTINGS))
        raise StackError(f"no simulated exchange for feed {feed!r}: known feeds are {known}")
    return found
