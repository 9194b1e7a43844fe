"""The fields of markers, which `schemas.raw` lists by type: a marker that does not fit is no marker."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from schemas.errors import FrameError

_Micros = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
_Text = Annotated[str, Meta(max_length=100_000)]


class _Fields(Struct):
    channels: list[_Text] = []
    channel: _Text = ""
    reason: _Text = ""
    step: _Text = ""
    where: _Text = ""
    age: _Micros = 0
    offset: _Micros = 0
    round_trip: _Micros = 0
    frames: int = 0
    status: int = 0
    seconds: float = 0.0


def check_marker(marker: dict[str, Any]) -> None:
    """`FrameError` where a field of a marker, other than a definition, has another type or is out of range."""
    try:
        msgspec.convert(marker, _Fields)
    except msgspec.ValidationError as error:
        raise FrameError(f"malformed marker: {error}") from None
