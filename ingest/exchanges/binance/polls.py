"""What is polled of Binance, of futures by our channels (docs/protocols/binance.md §1.6, §2.5, §2.7)."""

from collections.abc import Callable, Mapping
from functools import partial

from ingest.exchanges.binance.channels import pair_of
from ingest.exchanges.polls import PollRow
from schemas.json_object import json_rows

_PERIOD, _PERIOD_S = {"period": "5m"}, 300.0
_RATIO_LAG_S, _FUNDING_LAG_S = 30.0, 60.0  # assumed: the exchange does not say when it publishes a period

Query = Callable[[str], dict[str, str]]


def _of_symbol(symbol: str) -> dict[str, str]:
    return {"symbol": symbol}


def depth_row(path: str, weight: float) -> PollRow:
    """Return the row of a book's best levels. `weight`: of the fewest levels."""
    return PollRow(path, lambda symbol: {"symbol": symbol, "limit": "5"}, ("quotes",), weight=weight)


def _latest(count: int) -> dict[str, str]:
    return {"limit": str(count)}


def _newest(body: bytes, field: str) -> int:
    times = (row.get(field) for row in json_rows(body))
    return max((each for each in times if type(each) is int), default=0)


def _ratios(name: str, query: Query) -> PollRow:
    return PollRow(
        f"/futures/data/{name}",
        query,
        ("long_short_ratios",),
        of=("perp",),
        most=500,
        row_s=_PERIOD_S,
        rows=_latest,
        newest=partial(_newest, field="timestamp"),
        lag_s=_RATIO_LAG_S,
    )


def _rows(prefix: str, ratios: Query, takers: PollRow) -> dict[str, PollRow]:
    return {
        "open_interest": PollRow(f"{prefix}/openInterest", _of_symbol, ("open_interest",)),
        "funding_history": PollRow(
            f"{prefix}/fundingRate",
            _of_symbol,
            ("funding",),
            of=("perp",),
            most=1000,
            row_s=3600.0,  # the shortest interval of funding
            rows=_latest,
            newest=partial(_newest, field="fundingTime"),
            lag_s=_FUNDING_LAG_S,
        ),
        "top_account_ratios": _ratios("topLongShortAccountRatio", ratios),
        "top_position_ratios": _ratios("topLongShortPositionRatio", ratios),
        "account_ratios": _ratios("globalLongShortAccountRatio", ratios),
        "taker_volumes": takers,
    }


def _usdm_ratios(symbol: str) -> dict[str, str]:
    return {"symbol": symbol} | _PERIOD


def _coinm_ratios(symbol: str) -> dict[str, str]:
    return {"pair": pair_of(symbol)} | _PERIOD


def _coinm_takers(symbol: str) -> dict[str, str]:
    return {"pair": pair_of(symbol), "contractType": "PERPETUAL"} | _PERIOD


USDM_POLLS: Mapping[str, PollRow] = _rows("/fapi/v1", _usdm_ratios, _ratios("takerlongshortRatio", _usdm_ratios))
COINM_POLLS: Mapping[str, PollRow] = _rows("/dapi/v1", _coinm_ratios, _ratios("takerBuySellVol", _coinm_takers))
