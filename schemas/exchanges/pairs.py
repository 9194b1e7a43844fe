"""Split pairs that are written without a separator (`BTCUSDT`) into base and quote: Binance's and HTX's spot names.

Where the exchange lists its instruments, its listing decides. The lists below, of October 2026, are for recordings
without definitions. Nothing is guessed: a name with an unknown quote is rejected, and so is an ambiguous one.
"""

from schemas.errors import SymbolError

# All currencies in which pairs are quoted, or were in recordings since 2017.
_BINANCE_QUOTES = (
    # stablecoins
    "USDT", "FDUSD", "USDC", "TUSD", "BUSD", "USD1", "USDE", "USDP", "USDS", "PAX", "DAI", "UST", "VAI", "RLUSD",
    "XUSD", "BFUSD", "AEUR", "EURI", "BIDR", "IDRT", "BKRW", "BVND",
    # coins
    "BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "SOL", "DOT",
    # money
    "EUR", "TRY", "BRL", "JPY", "GBP", "AUD", "ZAR", "UAH", "RUB", "NGN", "PLN", "RON", "ARS", "MXN", "IDR", "COP",
    "CZK", "USD",
)  # fmt: skip
_HTX_QUOTES = (
    "USDT", "USDC", "USDD", "HUSD", "TUSD", "FDUSD", "USD1", "USDE", "UST", "EUROC",
    "BTC", "ETH", "TRX", "HT",
    "EUR", "BRL", "GBP", "TRY", "UAH", "RUB", "USD",
)  # fmt: skip
QUOTES = {"binance": _BINANCE_QUOTES, "htx": _HTX_QUOTES}

# Quotes of very few pairs (USD: those of Binance.US). They count only after a known base.
_RARE = frozenset({"USD", "IDR"})

# Known bases, to decide between two readings of a name: one quote may end in another (AEUR and EUR, BIDR and IDR,
# BUSD, TUSD, FDUSD and USD …), so that the last letter of the base could belong to the quote.
_ASSETS = """
    1INCH AAVE ACA ACH ADA ALGO ALICE ALPHA AMP ANKR ANT APE API3 APT AR ARB ARPA ASTR ATA ATOM AUDIO AVA AVAX AXS
    BADGER BAL BAND BAT BCH BEL BETA BICO BNB BNT BOND BONK BTC BTS BTT C98 CAKE CELO CELR CFX CHR CHZ CKB CLV COMP
    COTI CRO CRV CTSI CTXC CVC CVX DASH DATA DCR DENT DGB DIA DODO DOGE DOT DUSK DYDX EGLD ELF ENA ENJ ENS EOS ETC ETH
    FARM FET FIDA FIL FLM FLOKI FLOW FLUX FORTH FTM FTT FXS GAL GALA GLMR GMT GMX GRT GTC HBAR HFT HIVE HNT HOT HT ICP
    ICX ID IDEX ILV IMX INJ IOST IOTA IOTX IRIS JASMY JOE JST JUP KAVA KDA KLAY KMD KNC KSM LDO LINA LINK LIT LPT LQTY
    LRC LSK LTC LUNA LUNC MANA MASK MATIC MBOX MDT MINA MKR MTL NEAR NEO NEXO NKN NMR NOT OCEAN OG OGN OM OMG ONE ONG
    ONT OP ORDI OXT PAXG PENDLE PEOPLE PEPE PERP PHA POL POLY POND PYTH QNT QTUM RAD RAY REEF REN REP REQ RLC ROSE RPL
    RSR RUNE RVN SAND SC SEI SFP SHIB SKL SLP SNX SOL SPELL SRM STG STMX STORJ STRAX STX SUI SUPER SUSHI SXP SYS T TFUEL
    THETA TIA TON TRB TRUMP TRX TWT UMA UNI USDC USDT VET VTHO WAVES WAXP WBTC WIF WIN WLD WOO WRX XEC XEM XLM XMR XNO
    XRP XTZ XVG XVS YFI YGG ZEC ZEN ZIL ZRX
"""
_KNOWN = frozenset(_ASSETS.split()) | frozenset(_BINANCE_QUOTES) | frozenset(_HTX_QUOTES)


def split_pair(pair: str, quotes: tuple[str, ...]) -> tuple[str, str]:
    """Return base and quote. Raise `SymbolError` if no quote fits, or if several do and the bases do not decide.

    Of several readings, the one with a known base is right (`ADAEUR` is not AD-AEUR, `BTCBIDR` not BTCB-IDR). Two such
    readings are ambiguous (`GALAEUR`: GAL-AEUR or GALA-EUR). If no base is known, all but the rare quotes count.
    """
    readings = [(pair[: -len(quote)], quote) for quote in quotes if pair.endswith(quote) and len(pair) > len(quote)]
    known = [reading for reading in readings if reading[0] in _KNOWN]
    readings = known or [reading for reading in readings if reading[1] not in _RARE]
    if len(readings) == 1:
        return readings[0]
    if not readings:
        raise SymbolError(f"cannot split {pair!r:.80} into base and quote: unknown quote currency")
    named = " or ".join(f"{base}-{quote}" for base, quote in readings)
    raise SymbolError(f"{pair!r:.80} is ambiguous without the exchange's definition: {named}")
