"""Parse Binance: frames (`frames.py`), the answers of polls (`polls.py`) and of the past (`history.py`, `files.py`)."""

from streams.normalize.binance.files import FILES as FILES
from streams.normalize.binance.frames import normalize as normalize
from streams.normalize.binance.history import HISTORY as HISTORY
from streams.normalize.binance.polls import ANSWERS as ANSWERS
