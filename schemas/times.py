"""Times as users write them: ISO 8601 in UTC, µs since the epoch, `10m ago`, or `now`."""

import re
from datetime import UTC, datetime, timedelta

from schemas.errors import SettingsError

_AGO = re.compile(r"(\d+(?:\.\d+)?) ?(s|m|h|d)(?: ago)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_MICROS = re.compile(r"\d{15,17}")

FORMS = "2026-11-26, 2026-11-26T12:00:00 (UTC), µs since the epoch, 10m ago (s, m, h, d), or now"


def parse_time(text: str, now: datetime | None = None) -> int:
    """Return a time in µs since the epoch. Raise `SettingsError`, which lists the possible forms."""
    now = now or datetime.now(UTC)
    try:
        if _MICROS.fullmatch(text):
            return int(text)
        if ago := _AGO.fullmatch(text):
            time = now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        else:
            time = now if text == "now" else datetime.fromisoformat(text)
        return int(time.replace(tzinfo=time.tzinfo or UTC).timestamp() * 1_000_000)
    except (ValueError, OverflowError):  # the latter: before the year 1
        raise SettingsError(f"{text!r:.80} is not a time: write {FORMS}") from None


def parse_span(start: str, end: str) -> tuple[int, int]:
    """Return the times of --from and --to. Raise `SettingsError` if the start is not before the end."""
    now = datetime.now(UTC)
    span = parse_time(start, now), parse_time(end, now)
    if span[0] >= span[1]:
        raise SettingsError(f"--from {start} is not before --to {end}")
    return span
