"""A worker with a bug: it dies on every frame that holds the word INSURANCE_FUND."""

import sys

from faust.cli.faust import cli

from streams.instrument_processor import InstrumentProcessor
from streams.output import Output

_on_frame = InstrumentProcessor.on_frame


def _dying(self: InstrumentProcessor, out: Output, frame: bytes) -> None:
    if b"INSURANCE_FUND" in frame:
        raise RuntimeError("a bug in the processor")
    _on_frame(self, out, frame)


if __name__ == "__main__":
    InstrumentProcessor.on_frame = _dying  # type: ignore[method-assign]
    sys.exit(cli(["-A", "streams.app", "worker", "-l", "info"]))
