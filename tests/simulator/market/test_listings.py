"""Prices and amounts of the listings, as the exchanges write them and in base units."""

from decimal import Decimal

import pytest

from marketprism.simulator.market.listings import LISTINGS, OPTIONS
from marketprism.simulator.market.prices import START_PRICES


def test_prices_and_amounts_as_the_exchanges_write_them() -> None:
    """Binance keeps trailing zeros and OKX drops them; values follow tick and lot."""
    by_key = {(listing.feed, listing.symbol): listing for listing in LISTINGS}
    spot, usdm, okx = (
        by_key[key]
        for key in (("binance-spot", "BTC-USDT"), ("binance-usdm", "BTC-USDT-PERP"), ("okx", "BTC-USDT-PERP"))
    )
    assert (spot.price_text(8675001), spot.amount_text(150)) == ("86750.01000000", "0.00150000")
    assert (usdm.price_text(867510), usdm.amount_text(3200)) == ("86751.00", "3.200")
    assert (okx.price_text(867500), okx.amount_text(14000), okx.amount_text(1)) == ("86750", "140", "0.01")


def test_amounts_of_inverse_contracts() -> None:
    """Contracts are worth dollars: 8 of 100 at 80,000 are 0.01 bitcoin, and levels have the usual base amount."""
    by_key = {(listing.feed, listing.symbol): listing for listing in LISTINGS}
    okx, deribit = by_key["okx", "BTC-USD-PERP"], by_key["deribit", "BTC-USD-PERP"]
    assert okx.base_amount(8, 800_000) == deribit.base_amount(80, 160_000) == Decimal("0.01")
    assert okx.base_amount(1, 300_000) == Decimal("0.003333333333333333")
    for listing in (okx, deribit):
        ticks = round(START_PRICES["BTC"] / float(listing.tick))
        assert float(listing.base_amount(round(listing.typical_lots), ticks)) == pytest.approx(
            listing.typical, rel=0.01
        )


def test_amounts_of_options() -> None:
    """Amounts are coins on Deribit and hundredths of a coin on OKX, whatever the price, which is in coins."""
    by_feed = {listing.feed: listing for listing in OPTIONS}
    deribit, okx = by_feed["deribit"], by_feed["okx"]
    assert deribit.base_amount(25, 1_400) == okx.base_amount(250, 900) == Decimal("2.5")
    assert (deribit.price_text(1_400), deribit.amount_text(25), okx.amount_text(250)) == ("0.14", "2.5", "250")
    assert len({listing.symbol for listing in OPTIONS}) == len(OPTIONS)
