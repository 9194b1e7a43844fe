"""Decode and convert one kind of Binance's frames."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from schemas.instruments import Instrument
from streams.normalize.messages import Normalized


class Reader(NamedTuple):
    """Decoders and converter of one kind of frame, which arrives in the combined wrapper or bare."""

    wrapped: Callable[[bytes], Any]
    bare: Callable[[bytes], Any]
    convert: Callable[[Any, Instrument, int], list[Normalized]]
    numbers: tuple[str, ...] = ()  # fields whose texts may be too long and are shortened


def reader_of(
    data: type[Struct], convert: Callable[[Any, Instrument, int], list[Normalized]], numbers: tuple[str, ...] = ()
) -> Reader:
    wrapper = msgspec.defstruct("_Wrapper", [("data", data)], gc=False)
    return Reader(msgspec.json.Decoder(wrapper).decode, msgspec.json.Decoder(data).decode, convert, numbers)
