"""Build the rows of polled series, which the exchanges publish in forms of their own."""

from streams.normalize.messages import SeriesRow


def ratio_row(
    scope: str, period: str, timestamp: int, long: str | None, short: str | None, ratio: str | None
) -> SeriesRow:
    """Return a period of a long/short ratio; `timestamp` in µs."""
    fields = {"scope": scope, "period": period, "long": long, "short": short, "ratio": ratio}
    return SeriesRow("market.long_short_ratios", f"{scope} {period}", timestamp, fields)


def settled_row(
    timestamp: int, rate: str, interval_hours: int | None = None, mark_price: str | None = None
) -> SeriesRow:
    """Return a funding rate that was paid at `timestamp`, µs."""
    fields = {
        "type": "settled",
        "rate": rate,
        "interval_hours": interval_hours,
        "next_funding_at": None,
        "mark_price": mark_price,
        "index_price": None,
    }
    return SeriesRow("market.funding", "settled", timestamp, fields)
