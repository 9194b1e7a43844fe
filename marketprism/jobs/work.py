"""The registry of what the jobs do: one row for each job of `schemas/jobs.py`."""

from marketprism.jobs.gaps import fill_gaps
from marketprism.jobs.instruments import refresh_instruments
from marketprism.jobs.outcome import Work
from marketprism.jobs.quality import report_quality
from marketprism.jobs.retention import apply_retention

WORK: dict[str, Work] = {
    "gaps": fill_gaps,
    "quality": report_quality,
    "instruments": refresh_instruments,
    "retention": apply_retention,
}
