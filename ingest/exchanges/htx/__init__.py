"""Connectors for HTX spot and linear swaps (docs/protocols/htx.md §4, §5).

Gzip frames, JSON pings, one topic per request.
"""

from ingest.exchanges.htx.linear import HtxLinear as HtxLinear
from ingest.exchanges.htx.spot import HtxSpot as HtxSpot
