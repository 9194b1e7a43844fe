"""A worker with a bug: it dies on every frame that contains INSURANCE_FUND."""

import sys

from faust.cli.faust import cli

from streams.instrument_processor import InstrumentProcessor
from streams.output import Output

_on_frame = InstrumentProcessor.on_frame


def _on_frame_or_die(self: InstrumentProcessor, out: Output, frame: bytes) -> None:
    if b"INSURANCE_FUND" in frame:
        raise RuntimeError("a bug in the processor")
    _on_frame(self, out, frame)


if __name__ == "__main__":
    InstrumentProcessor.on_frame = _on_frame_or_die  # type: ignore[method-assign]
    sys.exit(cli(["-A", "streams.app", "worker"]))
