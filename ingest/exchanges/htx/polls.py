"""What is polled of HTX, of linear swaps by our channels (docs/protocols/htx.md §4.6, §5.6)."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from ingest.exchanges.polls import PollRow

_PATH = "/linear-swap-api/v1"


def _contract(code: str) -> dict[str, str]:
    return {"contract_code": code}


def _five_minutes(code: str) -> dict[str, str]:
    return {"contract_code": code, "period": "5min"}


def _page(count: int) -> dict[str, str]:
    return {"page_index": "1", "page_size": str(count)}


class _Ratio(Struct):
    ts: int


class _Ratios(Struct):
    rows: list[_Ratio] = field(name="list")


class _RatiosAnswer(Struct):
    data: _Ratios


class _Rate(Struct):
    funding_time: int  # as text


class _Rates(Struct):
    rows: list[_Rate] = field(name="data")


class _RatesAnswer(Struct):
    data: _Rates


_decode_ratios = msgspec.json.Decoder(_RatiosAnswer).decode
_decode_rates = msgspec.json.Decoder(_RatesAnswer, strict=False).decode


def _newest_ratio(body: bytes) -> int:
    try:
        return max((row.ts for row in _decode_ratios(body).data.rows), default=0)
    except msgspec.DecodeError:
        return 0


def _newest_rate(body: bytes) -> int:
    try:
        return max((row.funding_time for row in _decode_rates(body).data.rows), default=0)
    except msgspec.DecodeError:
        return 0


def _ratios(name: str) -> PollRow:
    """Return the row of a ratio of the elite. How many rows an answer has is not documented: at least the newest."""
    return PollRow(
        f"{_PATH}/{name}",
        _five_minutes,
        ("long_short_ratios",),
        of=("perp",),
        most=1,
        row_s=300.0,
        newest=_newest_ratio,
    )


def _spot_levels(symbol: str) -> dict[str, str]:
    return {"symbol": symbol, "type": "step0", "depth": "5"}


def _linear_levels(code: str) -> dict[str, str]:
    return {"contract_code": code, "type": "step6"}  # the fewest levels whose prices are not merged


SPOT_BEST_LEVELS = PollRow("/market/depth", _spot_levels, ("quotes",))
LINEAR_BEST_LEVELS = PollRow("/linear-swap-ex/market/depth", _linear_levels, ("quotes",))
LINEAR_POLLS: Mapping[str, PollRow] = {
    "open_interest": PollRow(f"{_PATH}/swap_open_interest", _contract, ("open_interest",)),
    "top_account_ratios": _ratios("swap_elite_account_ratio"),
    "top_position_ratios": _ratios("swap_elite_position_ratio"),
    "funding_history": PollRow(
        f"{_PATH}/swap_historical_funding_rate",
        _contract,
        ("funding",),
        of=("perp",),
        most=50,
        row_s=3600.0,  # the shortest interval of funding
        rows=_page,
        newest=_newest_rate,
    ),
}
