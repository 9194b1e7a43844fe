"""Parse HTX: frames (`trading.py`), the answers of polls (`polls.py`) and of the past (`history.py`)."""

from streams.normalize.htx.history import HISTORY as HISTORY
from streams.normalize.htx.polls import ANSWERS as ANSWERS
from streams.normalize.htx.trading import normalize as normalize
