"""Parameters that several routes have."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field
from pydantic.config import JsonDict

from schemas.feeds import EXCHANGES

_NAME = r"^[^\x00-\x20]+$"

_Exchange = Annotated[str, Field(min_length=1, max_length=20, pattern=_NAME, examples=list(EXCHANGES))]
_Symbol = Annotated[str, Field(min_length=1, max_length=80, pattern=_NAME, examples=["BTC-USDT", "BTC-USDT-PERP"])]
_Pattern = Annotated[str, Field(min_length=1, max_length=80, pattern=_NAME, examples=["BTC-USDT", "BTC-*"])]
ExchangeFilter = Annotated[_Exchange | None, Query(description="of this exchange only")]
SymbolFilter = Annotated[_Symbol | None, Query(description="of this symbol only")]
PatternFilter = Annotated[_Pattern | None, Query(description="of this symbol, or of those that this pattern selects")]
ExchangePath = Annotated[_Exchange, Path(description="name of the exchange")]
SymbolPath = Annotated[_Symbol, Path(description="our name of the instrument")]

_TIME = "ISO 8601 (UTC), µs since the epoch, `10m ago`, or `now`"
# For the document only: what does not match is answered with the forms to write.
_FORMS: JsonDict = {
    "pattern": r"^(now|[0-9]{15,17}|[0-9]{1,6}(\.[0-9]{1,6})? ?[smhd]( ago)?|[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)$"
}
_Time = Annotated[str, Field(min_length=1, max_length=40, json_schema_extra=_FORMS)]
FromTime = Annotated[_Time | None, Query(alias="from", description=f"begin: {_TIME}")]
ToTime = Annotated[_Time | None, Query(alias="to", description=f"end; default: now. {_TIME}")]
Hours = Annotated[int, Query(ge=1, le=168, description="the last hours")]
