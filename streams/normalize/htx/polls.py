"""Parse the answers of HTX's REST API to what is polled (docs/protocols/htx.md)."""

from collections.abc import Callable, Mapping

from schemas.instruments import Instrument
from streams.normalize.messages import Normalized

ANSWERS: Mapping[str, Callable[[bytes, dict[str, str], Instrument, int], list[Normalized]]] = {}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
