"""Suggest the known name that an unknown one probably means."""

from collections.abc import Collection
from difflib import get_close_matches


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that is spelt most like this one, or an empty text if none is like it."""
    found = get_close_matches(name, known, n=1) or get_close_matches(name.lower(), known, n=1)
    return found[0] if found else ""


def unknown(what: str, name: str, known: Collection[str], otherwise: str = "") -> str:
    """Return the error text for an unknown name, with those that it may mean.

    They are all that it is the first part of, or the nearest one, or else `otherwise`, by default all known names.
    """
    if longer := [each for each in known if each.startswith(f"{name.lower()}-")]:
        return f"unknown {what} {name!r:.80}: did you mean {', '.join(longer)}?"
    if near := nearest(name, known):
        return f"unknown {what} {name!r:.80}: did you mean {near}?"
    return f"unknown {what} {name!r:.80}: {otherwise or 'known are ' + (', '.join(known) or 'none')}"
