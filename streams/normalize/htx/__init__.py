"""Parse HTX: frames (`trading.py`) and the answers of polls (`polls.py`)."""

from streams.normalize.htx.polls import ANSWERS as ANSWERS
from streams.normalize.htx.trading import normalize as normalize
