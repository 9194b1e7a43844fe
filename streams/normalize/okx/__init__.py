"""Parse OKX: frames (`trading.py`, `figures.py`), the answers of polls (`polls.py`) and of the past (`history.py`)."""

from streams.normalize.okx.history import HISTORY as HISTORY
from streams.normalize.okx.polls import ANSWERS as ANSWERS
from streams.normalize.okx.trading import normalize as normalize
