"""Delays of ingest that tests shorten."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Delays in seconds. `ingest.app.ingest` hands them down to where they are used."""

    connect_timeout_s: float = 4.0  # s for opening a connection: two of them, and the third host is tried within 10 s
    probe_pause_s: float = 5.0  # s until a host or proxy that failed is probed; doubles while it fails
    max_probe_pause_s: float = 60.0
    quick_reconnect_after_s: float = 10.0  # s that a connection must have lived for its next reconnect to be immediate
    clock_interval_s: float = 60.0  # s between two comparisons with the exchange's clock
    balance_interval_s: float = 60.0  # s over which the connections' loads are measured before they are balanced
    report_interval_s: float = 5.0  # s between two reports of the connections
    min_refresh_interval_s: float = 10.0  # s between two reads of the definitions, however much is announced
    first_rejection_retry_s: float = 5.0  # s until a rejected subscription is retried; doubles with every rejection
    snapshot_pause_s: float = 1.0  # s between two snapshots of one instrument; doubles while they do not help
    max_snapshot_pause_s: float = 5.0  # s; the workers back off too: this spares the exchange several workers' requests


DEFAULT_TIMINGS = Timings()
