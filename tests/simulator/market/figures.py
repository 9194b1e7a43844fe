"""Listings and figures for the tests of the simulated market."""

from marketprism.simulator.market.candles import Candles
from marketprism.simulator.market.listings import LISTINGS, OPTIONS, Listing
from marketprism.simulator.market.past import Past
from marketprism.simulator.market.prices import START_PRICES

START_MS = 1_795_000_007_000  # in the middle of a minute


def listing_of(feed: str, symbol: str) -> Listing:
    return next(each for each in (*LISTINGS, *OPTIONS) if (each.feed, each.symbol) == (feed, symbol))


def past_of(listing: Listing, seed: int = 1) -> Past:
    return Past(listing, seed, START_PRICES[listing.underlying] / float(listing.tick))


def candles_of(listing: Listing, seed: int = 1, start_ms: int = START_MS) -> Candles:
    return Candles(listing, past_of(listing, seed), start_ms)
