"""What Deribit is expected to send: docs/protocols/deribit.md §6.4, §6.6."""

from collections.abc import Mapping

from schemas.symbols import Kind


def _notification(data: str) -> str:
    return f"jsonrpc? method=subscription params{{channel data{data}}}"


def _answer(result: str) -> str:
    return f"jsonrpc? result{result} usIn? usOut? usDiff? testnet?"


_TICKER = (
    "timestamp state? instrument_name index_price mark_price last_price settlement_price? min_price? max_price? "
    "open_interest? estimated_delivery_price? best_bid_price? best_bid_amount? best_ask_price? best_ask_amount?"
)
_STATS = "{high low volume price_change? volume_usd? volume_notional?}"
_GREEKS = "{delta gamma vega theta rho}"

EXPECTED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "deribit": {
        "trades": (
            _notification(
                "[]{trade_seq trade_id timestamp price instrument_name direction=buy|sell amount contracts? "
                "mark_price? index_price? tick_direction?=0|1|2|3 iv? liquidation?=M|T|MT block_trade_id? "
                "block_trade_leg_count? combo_id? combo_trade_id? block_rfq_id?}"
            ),
        ),
        "books": (
            _notification("{type?=snapshot timestamp instrument_name change_id bids[][3] asks[][3]}"),
            _notification("{type?=change timestamp instrument_name change_id prev_change_id bids[][3] asks[][3]}"),
        ),
        **{
            f"book.{{}}.none.{depth}.100ms": (
                _notification("{timestamp instrument_name change_id bids[][2] asks[][2]}"),
            )
            for depth in (20, 10, 1)
        },
        "quotes": (
            _notification("{timestamp instrument_name best_bid_price best_bid_amount best_ask_price best_ask_amount}"),
        ),
        "tickers": (
            _notification(f"{{{_TICKER} stats{_STATS}}}"),
            _notification(f"{{{_TICKER} stats{_STATS} current_funding funding_8h? interest_value?}}"),
            _notification(
                f"{{{_TICKER} stats{_STATS} greeks{_GREEKS} mark_iv bid_iv ask_iv underlying_price underlying_index "
                "interest_rate?}"
            ),
        ),
        "candles": (_notification("{tick open high low close volume cost}"),),
        "fallback": (
            _answer(
                "{timestamp instrument_name change_id bids[][2] asks[][2] state? index_price? mark_price? last_price? "
                "settlement_price? min_price? max_price? open_interest? estimated_delivery_price? best_bid_price? "
                f"best_bid_amount? best_ask_price? best_ask_amount? stats?{_STATS} current_funding? funding_8h? "
                f"interest_value? greeks?{_GREEKS} mark_iv? bid_iv? ask_iv? underlying_price? underlying_index? "
                "interest_rate?}"
            ),
        ),
        "funding_history": (_answer("[]{timestamp interest_1h interest_8h? index_price? prev_index_price?}"),),
    },
}

TRADED_LITTLE: frozenset[Kind] = frozenset({"spot"})
