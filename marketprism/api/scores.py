"""The scores of the last hours, from ClickHouse's view `data_quality`."""

from typing import Any

from marketprism.api.queries import Queries
from marketprism.api.spans import HOUR, now_us
from marketprism.ops.quality import QUERY, Score


async def hourly_scores(queries: Queries, hours: int) -> dict[str, Any]:
    """Return the scores of the hour in progress and of those before it, `hours` in all."""
    end = now_us()
    start = end - end % HOUR - (hours - 1) * HOUR
    rows = await queries.rows(QUERY, {"since": str(start), "until": str(end)})
    return {"start": start, "end": end, "rows": [Score.model_validate(row).model_dump() for row in rows]}
