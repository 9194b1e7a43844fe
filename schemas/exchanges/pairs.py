"""Base and quote of pairs that are written without a separator (`BTCUSDT`): Binance's and HTX's spot names.

The exchange's listing decides wherever there is one. These lists, of October 2026, serve recordings without
definitions. They are never a guess: a name whose quote nobody knows is refused, and so is one that can be read in two
ways.
"""

from schemas.errors import SymbolError

# Every currency that pairs are, or in recordings since 2017 were, quoted in.
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

# Quotes that hardly any pair has (USD: those of Binance.US): believed only behind a base that is known.
_RARE = frozenset({"USD", "IDR"})

# Bases for which it has to be known that they exist: with or without their last letter a name can be read in two ways,
# for the longer of two quotes may end like the shorter (AEUR and EUR, BIDR and IDR, BUSD, TUSD, FDUSD and USD …).
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
    """Base and quote; `SymbolError` where no quote fits, or where several do and the bases do not tell which.

    Of several readings the one with a known base is right (`ADAEUR` is no AD-AEUR, `BTCBIDR` no BTCB-IDR), and two such
    are ambiguous (`GALAEUR`: GAL-AEUR or GALA-EUR). Where no base is known, all but the rare quotes count.
    """
    readings = [(pair[: -len(quote)], quote) for quote in quotes if pair.endswith(quote) and len(pair) > len(quote)]
    known = [reading for reading in readings if reading[0] in _KNOWN]
    readings = known or [reading for reading in readings if reading[1] not in _RARE]
    if len(readings) == 1:
        return readings[0]
    if not readings:
        raise SymbolError(f"cannot tell base from quote in {pair!r:.80}: its quote currency is not a known one")
    named = " or ".join(f"{base}-{quote}" for base, quote in readings)
    raise SymbolError(f"{pair!r:.80} may be {named}: only its definition tells")
