"""REST client of ingest: connections, budgets, waits, circuit breaker and statistics, the same for all callers."""

from ingest.rest.client import Rest
from ingest.rest.limits import Limit, Limits, Meaning
from ingest.rest.pool import RestPool

__all__ = ["Limit", "Limits", "Meaning", "Rest", "RestPool"]
