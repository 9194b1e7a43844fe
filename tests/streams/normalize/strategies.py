"""Strategies for the property tests of all normalizers."""

from hypothesis import strategies as st

_FIELDS = (
    "e s stream data u U b a B A arg channel instId T E p q lastUpdateId bids asks action event seqId ts px sz "
    "method params result jsonrpc instrument_name change_id timestamp"
)
_names = st.sampled_from(_FIELDS.split())
_known = st.sampled_from(
    ["trade", "depthUpdate", "bookTicker", "BTCUSDT", "BTC-USDT", "books", "trades", "bbo-tbt", "1", "update"]
)
_scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8)
anything = st.recursive(
    _scalars | _known,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=8),
    max_leaves=20,
)
"""Any JSON, with the fields and words of exchanges in it."""
