"""Parse Deribit: frames (`trading.py`), the answers of polls (`polls.py`) and of the past (`history.py`)."""

from streams.normalize.deribit.history import HISTORY as HISTORY
from streams.normalize.deribit.polls import ANSWERS as ANSWERS
from streams.normalize.deribit.trading import normalize as normalize
