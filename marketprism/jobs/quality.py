"""Report the quality of the data of the last full hour, as the view `data_quality` scores it (docs/quality.md)."""

import time

from marketprism.jobs.outcome import Outcome, Reporter
from marketprism.ops.quality import Score, scores
from schemas.settings import Settings

_HOUR = 3_600_000_000  # µs
_WORST = 5


async def report_quality(settings: Settings, reporter: Reporter) -> Outcome:
    """Say how good the data of the last full hour is on average, and which instruments are the worst, and why."""
    until = time.time_ns() // 1000 // _HOUR * _HOUR
    return summed_up(until - _HOUR, await scores(settings, until - _HOUR, until))


def summed_up(hour: int, found: list[Score]) -> Outcome:
    """Return the report on the scores of an hour. `hour`: its begin, µs."""
    if not found:
        return Outcome("no instrument was to be delivered in the last full hour", {"hour": hour, "instruments": 0})
    ranked = sorted(found, key=lambda each: (each.score, each.exchange, each.symbol))
    mean = sum(each.score for each in found) / len(found)
    worst = [_told(each) for each in ranked[:_WORST] if each.reason]
    summary = f"{len(found)} scored: mean {mean:.1f}, worst {ranked[0].score:.1f}"
    figures = {
        "hour": hour,
        "instruments": len(found),
        "mean": round(mean, 3),
        "worst": ranked[0].score,
        "reasons": [
            {"exchange": each.exchange, "symbol": each.symbol, "score": each.score, "reason": each.reason}
            for each in ranked[:_WORST]
            if each.reason
        ],
    }
    return Outcome("; ".join([summary, *worst]), figures)


def _told(score: Score) -> str:
    return f"{score.exchange}:{score.symbol} {score.score:.1f} ({score.reason} {getattr(score, score.reason)})"
