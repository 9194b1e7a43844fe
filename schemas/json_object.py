"""Parse JSON that another party wrote, where only an object is useful."""

from typing import Any

import orjson


def json_object(text: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object of a text; None if the text is not JSON, or not an object."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if type(found) is dict else None


def json_rows(text: bytes | str) -> list[dict[str, Any]]:
    """Return the JSON objects of an array; none if the text is not a JSON array."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return [row for row in found if type(row) is dict] if type(found) is list else []
