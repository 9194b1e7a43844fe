"""Upper bounds in bytes of everything that grows: topics, producers and states take theirs from here."""

from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20

MAX_MESSAGE: Final = 4 * MIB  # of a topic: the largest batch that the broker accepts, `max.message.bytes`
MAX_REQUEST: Final = 4 * MIB  # of our producers: one request
MAX_BATCH: Final = 1 * MIB  # of our producers: events sent together; a single larger one is sent alone

MAX_FRAME: Final = 900_000  # a frame as received; only the first KiB of a larger one is kept
MAX_RECORD: Final = 900_000  # a raw record of several lines; a larger line is a record of its own
MAX_JOIN_RECORD: Final = 900_000  # lines for one partition of the join; more are split into several records
MAX_EVENT: Final = 3 * MIB  # of a frame in the dead letter of a poison record or an unexplained row
MAX_DEAD_FRAME: Final = 256 * KIB  # of a frame in any other dead letter

MAX_BUFFERED_BYTES: Final = 512 * KIB  # updates of one book that wait for a snapshot
MAX_CHECKPOINT_ENTRY: Final = 2 * MIB  # one instrument's or symbol's state, compressed
MAX_UNPUBLISHED: Final = 64 * MIB  # events of one worker that the broker has not accepted; above, it stops reading
