"""Make OKX's frames."""

from typing import Any

from schemas.instruments import Instrument, assumed_instrument
from tests.frames import MS, Levels, dumps

SPOT = assumed_instrument("okx", "okx", "BTC-USDT")
SWAP = assumed_instrument("okx", "okx", "BTC-USDT-PERP").model_copy(update={"contract_size": "0.01"})
OPTION = assumed_instrument("okx", "okx", "BTC-USD-261225-90000-C").model_copy(update={"contract_size": "0.01"})
FUTURE = assumed_instrument("okx", "okx", "BTC-USDT-261225").model_copy(update={"contract_size": "0.01"})
INVERSE = assumed_instrument("okx", "okx", "BTC-USD-PERP").model_copy(update={"contract_size": "100"})


def push(channel: str, data: list[Any], instrument: Instrument = SPOT, **more: Any) -> bytes:
    arg = {"channel": channel, "instId": instrument.exchange_symbol}
    return dumps({"arg": arg, **more, "data": data})


def book(
    previous: int, sequence: int, bids: Levels, asks: Levels, action: str = "update", instrument: Instrument = SPOT
) -> bytes:
    row = {
        "asks": [[*level, "0", "1"] for level in asks],
        "bids": [[*level, "0", "1"] for level in bids],
        "ts": "1790000000100", "checksum": 0, "prevSeqId": previous, "seqId": sequence,
    }  # fmt: skip
    return push("books", [row], instrument, action=action)


def bbo(sequence: int, bid: str, bid_amount: str, ask: str, ask_amount: str, instrument: Instrument = SPOT) -> bytes:
    row = {
        "asks": [[ask, ask_amount, "0", "1"]], "bids": [[bid, bid_amount, "0", "1"]], "ts": "1790000000201",
        "seqId": sequence,
    }  # fmt: skip
    return push("bbo-tbt", [row], instrument)


def trade(instrument: Instrument = SPOT, **changes: str) -> bytes:
    row = {
        "instId": instrument.exchange_symbol, "tradeId": "2300000045", "px": "86750.1", "sz": "12", "side": "buy",
        "ts": "1790000000122", "count": "3", "source": "0",
    }  # fmt: skip
    return push("trades", [row | changes], instrument)


def funding_rate(instrument: Instrument = SWAP, **changes: str) -> bytes:
    row = {"fundingRate": "-0.0000725", "fundingTime": str(MS), "nextFundingTime": str(MS + 14_400_000), "ts": str(MS)}
    return push("funding-rate", [row | changes], instrument)


def mark_price(instrument: Instrument = SWAP, *more: dict[str, str]) -> bytes:
    row = {"instId": instrument.exchange_symbol, "markPx": "86750.1", "ts": str(MS)}
    return push("mark-price", [row, *(row | changes for changes in more)], instrument)


def index_price(name: str = "BTC-USDT") -> bytes:
    """Make a frame of an index, which all instruments that settle against it share."""
    return dumps({"arg": {"channel": "index-tickers", "instId": name}, "data": [{"idxPx": "86749", "ts": str(MS)}]})


def best_five(instrument: Instrument = SPOT) -> bytes:
    row = {
        "asks": [["11", "5", "0", "2"], ["12", "1", "0", "1"]], "bids": [["10", "4", "0", "3"]],
        "instId": instrument.exchange_symbol, "ts": str(MS), "seqId": 9,
    }  # fmt: skip
    return push("books5", [row], instrument)


def fill(instrument: Instrument = SPOT) -> bytes:
    row = {
        "instId": instrument.exchange_symbol, "tradeId": "2300000045", "px": "86750.1", "sz": "12", "side": "sell",
        "ts": str(MS), "source": "0",
    }  # fmt: skip
    return push("trades-all", [row], instrument)


def ticker(instrument: Instrument = SPOT, **changes: str) -> bytes:
    row = {
        "instId": instrument.exchange_symbol, "last": "86750.1", "lastSz": "3", "askPx": "86750.2", "askSz": "320",
        "bidPx": "86750.1", "bidSz": "140", "open24h": "85100", "high24h": "87400", "low24h": "84900",
        "volCcy24h": "61234.5", "vol24h": "6123450", "sodUtc0": "85500", "sodUtc8": "85900", "ts": str(MS),
    }  # fmt: skip
    return push("tickers", [row | changes], instrument)


def candle_row(confirm: str = "0", start: int = MS // 60_000 * 60_000) -> list[str]:
    return [str(start), "86700", "86800.5", "86650", "86750.1", "1200", "12", "1041000.5", confirm]


def candles(*rows: list[str], bar: str = "1m", instrument: Instrument = SPOT) -> bytes:
    return push(f"candle{bar}", list(rows), instrument)


def open_interest(instrument: Instrument = SWAP) -> bytes:
    row = {"oi": "2216113.01000000309", "oiCcy": "22161.1301", "oiUsd": "1922478000.5", "ts": str(MS)}
    return push("open-interest", [{"instId": instrument.exchange_symbol} | row], instrument)


def settlement_price(instrument: Instrument = FUTURE, **changes: str) -> bytes:
    """Make a frame of all futures of a family."""
    row = {"instId": instrument.exchange_symbol, "settlePx": "86741.25", "settleType": "delivery", "ts": str(MS)}
    others = {"instId": "BTC-USDT-270326", "settlePx": "86000", "settleType": "settlement", "ts": str(MS)}
    arg = {"channel": "estimated-price", "instType": "FUTURES", "instFamily": "BTC-USDT"}
    return dumps({"arg": arg, "data": [others, row | changes]})


def option_summary(instrument: Instrument = OPTION, **changes: Any) -> bytes:
    """Make a frame of all options of a family."""
    row = {
        "instType": "OPTION", "instId": instrument.exchange_symbol, "uly": "BTC-USD", "delta": "0.41", "gamma": "1.2",
        "vega": "0.0013", "theta": "-0.0006", "lever": "17.2", "markVol": "0.5512", "bidVol": "", "askVol": "0.58",
        "realVol": "", "deltaBS": "0.4312", "gammaBS": "0.0000171", "thetaBS": "-61.25", "vegaBS": "98.5",
        "fwdPx": "87012.5", "volLv": "0.55", "ts": str(MS),
    }  # fmt: skip
    others = {"instType": "OPTION", "instId": "BTC-USD-261225-90000-P", "uly": "BTC-USD"}
    arg = {"channel": "opt-summary", "instFamily": "BTC-USD"}
    return dumps({"arg": arg, "data": [others, row | changes]})


def liquidation_detail(**changes: str) -> dict[str, str]:
    row = {"side": "sell", "posSide": "long", "bkPx": "50000", "sz": "13", "bkLoss": "0", "ccy": "", "ts": str(MS)}
    return row | changes


def liquidations(*details: dict[str, str], instrument: Instrument = SWAP) -> bytes:
    """Make a frame of all swaps: the given orders of an instrument, and one of another."""
    rows = [
        {"instType": "SWAP", "instId": name, "details": list(orders)}
        for name, orders in (
            (instrument.exchange_symbol, details or (liquidation_detail(),)),
            ("ETH-USDT-SWAP", (liquidation_detail(sz="7"),)),
        )
    ]
    return dumps({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": rows})
