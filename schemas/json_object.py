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
