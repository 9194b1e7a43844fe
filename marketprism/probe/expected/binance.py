"""What Binance is expected to send: docs/protocols/binance.md §1.4, §2.3, §2.5."""

from collections.abc import Mapping

from schemas.intervals import INTERVALS

Table = Mapping[str, tuple[str, ...]]


def _stream(data: str) -> str:
    """Return the shape of a payload in the combined wrapper."""
    return f"stream data{{{data}}}"


_BARS = f"i={'|'.join(INTERVALS)} t T? o h l c v q V Q n x=true|false B? f? L?"
_SIDES = "m=true|false"
_SNAPSHOT = "lastUpdateId bids[][2] asks[][2]"
_FUTURES_SNAPSHOT = f"{_SNAPSHOT} E? T symbol? pair?"
_PARTIAL_BOOKS = ("depth20@100ms", "depth10@100ms", "depth5@100ms")
_RATIOS = "longShortRatio longAccount shortAccount timestamp"

_SPOT: Table = {
    "trades": (_stream(f"e?=trade E? s t p q T {_SIDES} M?"),),
    "aggTrade": (_stream(f"e?=aggTrade E? s a p q f? l? T {_SIDES} M?"),),
    "books": (_stream("e?=depthUpdate E s U u b[][2] a[][2]"),),
    **dict.fromkeys(_PARTIAL_BOOKS, (_stream(_SNAPSHOT),)),
    "quotes": (_stream("u s b B a A"),),
    "tickers": (_stream("e?=24hrTicker E s o h l c v q n p? P? w? x? Q? O? C? F? L? b? B? a? A?"),),
    "candles": (_stream(f"e?=kline E s k{{{_BARS} s?}}"),),
    "snapshot": (_SNAPSHOT,),
    "fallback": (_SNAPSHOT,),
}

# `st` and `ps` came in 2025 and 2026. `NA` is no trade, but an id that was used up without one.
_FUTURES: Table = {
    "trades": (_stream(f"e?=trade E? T s t p q X=MARKET|INSURANCE_FUND|ADL|NA {_SIDES} ps? st?"),),
    "aggTrade": (_stream(f"e?=aggTrade E? s a p q nq? f? l? T {_SIDES} ps? st?"),),
    **dict.fromkeys(("books", *_PARTIAL_BOOKS), (_stream("e?=depthUpdate E T? s ps? U u pu b[][2] a[][2] st?"),)),
    "quotes": (_stream("e?=bookTicker u E? T s ps? b B a A st?"),),
    "tickers": (_stream("e?=24hrTicker E s o h l c v q n p? P? w? Q? O? C? F? L? ps? st?"),),
    "candles": (_stream(f"e?=kline E s k{{{_BARS} s?}} ps? st?"),),
    "continuous_candles": (
        _stream(f"e?=continuous_kline E ps ct=PERPETUAL|CURRENT_QUARTER|NEXT_QUARTER k{{{_BARS}}} st?"),
    ),
    "mark_prices": (_stream("e?=markPriceUpdate E s p ap? i P r T st?"),),
    "liquidations": (_stream("e?=forceOrder E? o{s S=BUY|SELL o? f? p ap q X? l? z? T ps?} st?"),),
    "snapshot": (_FUTURES_SNAPSHOT,),
    "fallback": (_FUTURES_SNAPSHOT,),
}

EXPECTED: Mapping[str, Table] = {
    "binance-spot": _SPOT,
    "binance-usdm": {
        **_FUTURES,
        "open_interest": ("symbol openInterest time",),
        "funding_history": ("[]{symbol fundingTime fundingRate markPrice rateType?=Regular|Special}",),
        "top_account_ratios": (f"[]{{symbol {_RATIOS}}}",),
        "top_position_ratios": (f"[]{{symbol {_RATIOS}}}",),
        "account_ratios": (f"[]{{symbol {_RATIOS}}}",),
        "taker_volumes": ("[]{buySellRatio buyVol sellVol timestamp}",),
    },
    "binance-coinm": {
        **_FUTURES,
        "open_interest": ("symbol openInterest time pair? contractType?",),
        "funding_history": ("[]{symbol fundingTime fundingRate markPrice? rateType?=Regular|Special}",),
        "top_account_ratios": (f"[]{{pair {_RATIOS}}}",),
        "top_position_ratios": ("[]{pair longShortRatio longPosition shortPosition timestamp}",),
        "account_ratios": (f"[]{{pair {_RATIOS}}}",),
        "taker_volumes": (
            "[]{pair contractType? takerBuyVol? takerSellVol? takerBuyVolValue takerSellVolValue timestamp}",
        ),
    },
}
