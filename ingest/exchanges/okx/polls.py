"""What is polled of OKX: one row for each endpoint (docs/protocols/okx.md §3.6)."""

from collections.abc import Callable

from ingest.exchanges.polls import PollRow
from schemas.json_object import json_object
from schemas.symbols import Kind

_STATISTICS = "/api/v5/rubik/stat"
_RATIOS = ("long_short_ratios",)
_CONTRACTS: tuple[Kind, ...] = ("perp", "future")
_PERIOD, _PERIOD_S = "5m", 300.0
_MOST_ROWS = 100  # of the statistics of an instrument
_TWO_DAYS = 576  # rows of 5 minutes: all that the statistics of a currency hold
_MOST_PAYMENTS = 400
_LAG_S = 30.0  # until the exchange has the statistics of a period


def _newest_row(body: bytes) -> int:
    """Return the time of the first row of an answer, of the form `[time, …]`; 0 if there is none."""
    match json_object(body):
        case {"data": [[str(time), *_], *_]} if time.isdecimal():
            return int(time)
    return 0


def _newest_payment(body: bytes) -> int:
    match json_object(body):
        case {"data": [{"fundingTime": str(time)}, *_]} if time.isdecimal():
            return int(time)
    return 0


def _limit(most: int, running: int = 0) -> Callable[[int], dict[str, str]]:
    """Return the parameters of a number of rows. `running`: rows of a period that has not ended may come with them."""
    return lambda count: {"limit": str(min(count + running, most))}


def _of_instrument(path: str, **parameters: str) -> PollRow:
    """Return the row of an instrument's statistics."""
    return PollRow(
        f"{_STATISTICS}/{path}",
        lambda name: {"instId": name, "period": _PERIOD, **parameters},
        _RATIOS,
        of=_CONTRACTS,
        most=_MOST_ROWS - 1,
        row_s=_PERIOD_S,
        rows=_limit(_MOST_ROWS, running=1),
        newest=_newest_row,
        lag_s=_LAG_S,
    )


def _of_currency(path: str, **parameters: str) -> PollRow:
    """Return the row of a currency's statistics, which are always sent whole."""
    return PollRow(
        f"{_STATISTICS}/{path}",
        lambda currency: {"ccy": currency, "period": _PERIOD, **parameters},
        _RATIOS,
        of=_CONTRACTS,
        subject="currency",
        most=_TWO_DAYS,
        row_s=_PERIOD_S,
        newest=_newest_row,
        lag_s=_LAG_S,
    )


BEST_LEVELS = PollRow("/api/v5/market/books", lambda name: {"instId": name, "sz": "5"}, ("quotes",))
POLLS: dict[str, PollRow] = {
    "top_account_ratios": _of_instrument("contracts/long-short-account-ratio-contract-top-trader"),
    "top_position_ratios": _of_instrument("contracts/long-short-position-ratio-contract-top-trader"),
    "account_ratios": _of_instrument("contracts/long-short-account-ratio-contract"),
    "taker_volumes": _of_instrument("taker-volume-contract", unit="0"),  # in base units
    "currency_account_ratios": _of_currency("contracts/long-short-account-ratio"),
    "currency_taker_volumes": _of_currency("taker-volume", instType="CONTRACTS"),
    "funding_history": PollRow(
        "/api/v5/public/funding-rate-history",
        lambda name: {"instId": name},
        ("funding",),
        of=("perp",),
        most=_MOST_PAYMENTS,
        row_s=3600.0,  # the shortest interval of funding
        rows=_limit(_MOST_PAYMENTS),
        newest=_newest_payment,
    ),
}
