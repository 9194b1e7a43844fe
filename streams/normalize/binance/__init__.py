"""Parse Binance: frames (`trading.py`) and the answers of polls (`polls.py`)."""

from streams.normalize.binance.polls import ANSWERS as ANSWERS
from streams.normalize.binance.trading import normalize as normalize
