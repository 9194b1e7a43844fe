"""What HTX is expected to send: docs/protocols/htx.md §4.4, §5.4, §5.6."""

from collections.abc import Mapping

Table = Mapping[str, tuple[str, ...]]


def _topic(tick: str) -> str:
    return f"ch ts tick{{{tick}}}"


def _timed(tick: str) -> str:
    """Return the shape of a topic whose ticks have a time of their own."""
    return f"ch ts? tick{{{tick}}}"


def _notification(row: str) -> str:
    return f"op=notify topic ts data[]{{{row}}}"


def _answer(data: str) -> str:
    return f"status=ok ts {data}"


_SIDES = "bids[][2] asks[][2]"
_SOME_SIDES = "bids?[][2] asks?[][2]"  # one that did not change, or has no orders, may be omitted
_CANDLE = "id open high low close amount vol count"
_LINEAR_SUMS = "open high low close amount vol? count trade_turnover mrid?"
_PRICE = "id? open? high? low? close amount? vol? count? trade_turnover?"
_RATIOS = "symbol? contract_code pair? business_type?"

_SPOT: Table = {
    "trades": (_timed("id? ts? data[]{id? ts tradeId amount price direction=buy|sell}"),),
    "books": (_topic(f"seqNum prevSeqNum {_SOME_SIDES}"),),
    **{f"mbp.refresh.{levels}": (_topic(f"seqNum {_SOME_SIDES}"),) for levels in (5, 10, 20)},
    **{f"depth.step{step}": (f"{_timed(f'version ts {_SOME_SIDES}')} status?",) for step in range(6)},
    "quotes": (_timed("seqId ask? askSize? bid? bidSize? quoteTime symbol?"),),
    "tickers": (_topic(f"{_CANDLE} version"),),
    "ticker": (_topic("open high low close amount vol count bid? bidSize? ask? askSize? lastPrice? lastSize?"),),
    "candles": (_topic(_CANDLE),),
    "snapshot": (f"id? rep status? ts data{{seqNum {_SIDES}}}",),
    "fallback": (f"status=ok ch? ts? tick{{version? ts {_SOME_SIDES}}}",),
}

_LINEAR: Table = {
    "trades": (_timed("id? ts? data[]{id ts price amount quantity? trade_turnover? direction=buy|sell}"),),
    "books": (_timed(f"mrid? id? {_SOME_SIDES} ts version event=snapshot|update ch?"),),
    **{f"depth.step{step}": (f"{_timed(f'mrid id? {_SOME_SIDES} ts version? ch?')} status?",) for step in (0, 6)},
    "quotes": (_timed("mrid? id? bid?[2] ask?[2] ts version? ch?"),),
    "tickers": (_topic(f"id? {_LINEAR_SUMS} bid?[2] ask?[2]"),),
    "candles": (_topic(f"id {_LINEAR_SUMS}"),),
    "mark_prices": (_topic(_PRICE),),
    "index_prices": (_topic(_PRICE),),
    "funding": (
        _notification(
            "symbol? contract_code fee_asset? funding_time? funding_rate estimated_rate? settlement_time "
            "trade_partition?"
        ),
    ),
    "fallback": (f"status=ok ch? ts? tick{{mrid? id? {_SOME_SIDES} ts version? ch?}}",),
    "liquidations": (
        _notification(
            "symbol? contract_code direction=buy|sell offset? volume? amount price created_at trade_turnover? "
            "contract_type? pair? business_type?"
        ),
    ),
    "open_interest": (
        _answer(
            "data[]{volume amount value contract_code symbol? pair? contract_type? business_type? trade_partition? "
            "trade_amount? trade_volume? trade_turnover?}"
        ),
    ),
    "top_account_ratios": (_answer(f"data{{list[]{{buy_ratio sell_ratio locked_ratio? ts}} {_RATIOS}}}"),),
    "top_position_ratios": (_answer(f"data{{list[]{{buy_ratio sell_ratio ts}} {_RATIOS}}}"),),
    "funding_history": (
        _answer(
            "data{total_page? current_page? total_size? data[]{funding_rate funding_time contract_code "
            "avg_premium_index? realized_rate? symbol? fee_asset?}}"
        ),
    ),
}

EXPECTED: Mapping[str, Table] = {"htx-spot": _SPOT, "htx-linear": _LINEAR}
