"""Parse Deribit: frames (`trading.py`) and the answers of polls (`polls.py`)."""

from streams.normalize.deribit.polls import ANSWERS as ANSWERS
from streams.normalize.deribit.trading import normalize as normalize
