"""Parse Binance: frames (`frames.py`) and the answers of polls (`polls.py`)."""

from streams.normalize.binance.frames import normalize as normalize
from streams.normalize.binance.polls import ANSWERS as ANSWERS
