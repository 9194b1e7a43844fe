"""Parse OKX: frames (`trading.py`, `figures.py`) and the answers of polls (`polls.py`)."""

from streams.normalize.okx.polls import ANSWERS as ANSWERS
from streams.normalize.okx.trading import normalize as normalize
