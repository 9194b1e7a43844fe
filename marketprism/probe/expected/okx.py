"""What OKX is expected to send: docs/protocols/okx.md §3.4, §3.6."""

from collections.abc import Mapping


def _push(data: str, arg: str = "instId") -> str:
    """Return the shape of a push whose rows are as given. `arg`: what its argument names besides the channel."""
    return f"arg{{channel {arg}}} data[]{data}"


def _answer(data: str) -> str:
    return f"code=0 msg? data[]{data}"


_TRADE = "instId? tradeId px sz side=buy|sell ts source?=0|1"
_BOOK = "asks[][4] bids[][4] ts checksum? prevSeqId seqId"
_BEST = "asks[][4] bids[][4] ts seqId"

EXPECTED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "okx": {
        "trades": (_push(f"{{{_TRADE} count seqId?}}"),),
        "trades-all": (_push(f"{{{_TRADE}}}"),),
        "books": (f"action=snapshot|update {_push(f'{{{_BOOK}}}')}",),
        "books5": (_push(f"{{instId? {_BEST}}}"),),
        "quotes": (_push(f"{{{_BEST}}}"),),
        "tickers": (
            _push(
                "{instType? instId? last lastSz? askPx? askSz? bidPx? bidSz? open24h high24h low24h volCcy24h vol24h "
                "sodUtc0? sodUtc8? ts}"
            ),
        ),
        "candles": (_push("[9]"),),
        "mark_prices": (_push("{instType? instId? markPx ts}"),),
        "index_prices": (_push("{instId? idxPx open24h? high24h? low24h? sodUtc0? sodUtc8? ts}"),),
        "settlement_prices": (
            _push("{instType? instId settlePx settleType?=settlement|delivery|exercise ts}", arg="instType instFamily"),
        ),
        "funding": (
            _push(
                "{instType? instId? fundingRate fundingTime nextFundingTime nextFundingRate? minFundingRate? "
                "maxFundingRate? settState?=processing|settled settFundingRate? premium? interestRate? impactValue? "
                "method?=current_period|next_period formulaType? ts}"
            ),
        ),
        "open_interest": (_push("{instType? instId? oi oiCcy oiUsd ts}"),),
        "liquidations": (
            _push(
                "{instType? instId instFamily? uly? "
                "details[]{side=buy|sell posSide?=long|short|net bkPx sz bkLoss? ccy? ts}}",
                arg="instType",
            ),
        ),
        "options": (
            _push(
                "{instType? instId uly? delta? gamma? vega? theta? deltaBS gammaBS vegaBS thetaBS lever? markVol "
                "bidVol askVol realVol? volLv? fwdPx ts}",
                arg="instFamily",
            ),
        ),
        "fallback": (_answer("{asks[][4] bids[][4] ts seqId?}"),),
        "top_account_ratios": (_answer("[2]"),),
        "top_position_ratios": (_answer("[2]"),),
        "account_ratios": (_answer("[2]"),),
        "taker_volumes": (_answer("[3]"),),
        "currency_account_ratios": (_answer("[2]"),),
        "currency_taker_volumes": (_answer("[3]"),),
        "funding_history": (
            _answer(
                "{instType? instId? fundingRate? realizedRate fundingTime method?=current_period|next_period "
                "formulaType?}"
            ),
        ),
    },
}
