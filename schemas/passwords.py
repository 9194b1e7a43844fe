"""Hide passwords from errors, logs and reports."""

import re

_PASSWORD = re.compile(r"^((?>(?:\w+://)?)[^:]*):.*@", re.DOTALL)


def masked(url: str) -> str:
    """Return a URL without its password: `clickhouse://user:***@host`."""
    return _PASSWORD.sub(r"\1:***@", url)
