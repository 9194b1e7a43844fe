"""The bound of everything that grows, in bytes. Topics, producers and states all take theirs from here."""

from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20

MAX_MESSAGE: Final = 4 * MIB  # of a topic: the largest batch that the broker takes, `max.message.bytes`
MAX_REQUEST: Final = 4 * MIB  # of our producers: one request
MAX_BATCH: Final = 1 * MIB  # of our producers: events that leave together; a single larger one leaves alone

MAX_FRAME: Final = 900_000  # a frame as it came; of a larger one the first KiB is kept
MAX_RECORD: Final = 900_000  # a raw record, of many lines; a line of up to `MAX_FRAME` stands alone
MAX_JOIN_RECORD: Final = 900_000  # lines for one partition of the join; more become several records
MAX_EVENT: Final = 3 * MIB  # of a frame that a dead letter repeats whole: a poison record's, an unexplained row's
MAX_DEAD_FRAME: Final = 256 * KIB  # of a frame that any other dead letter repeats

MAX_BUFFERED_BYTES: Final = 512 * KIB  # updates of one book that wait for a snapshot
MAX_CHECKPOINT_ENTRY: Final = 2 * MIB  # one instrument's or symbol's state, compressed
MAX_UNPUBLISHED: Final = 64 * MIB  # events of one worker that the broker has not taken; then it reads no more
