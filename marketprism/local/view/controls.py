"""Follow the keys: which view is shown, whether it is paused, and the filter."""

from collections.abc import Callable

VIEWS = ("overview", "market", "arbitrage", "feeds", "events")
_LONGEST = 20  # characters of a filter
_ESCAPE = "\x1b"


class Controls:
    """What the user has chosen. `typing`: a filter is being entered. `filter`: in upper case, as symbols are."""

    def __init__(self, quit_view: Callable[[], None]) -> None:
        self.view = VIEWS[0]
        self.paused = False
        self.typing = False
        self.filter = ""
        self._quit = quit_view

    def press(self, key: str) -> None:
        """Follow one key."""
        if key == _ESCAPE:
            self.typing, self.filter = False, ""
        elif self.typing:
            self._type(key)
        elif key == "q":
            self._quit()
        elif key in ("p", " "):
            self.paused = not self.paused
        elif key in ("\t", "n"):
            self.view = VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)]
        elif key == "/":
            self.typing = True

    def _type(self, key: str) -> None:
        if key in ("\r", "\n"):
            self.typing = False
        elif key in ("\x7f", "\b"):
            self.filter = self.filter[:-1]
        elif key.isprintable():
            self.filter = (self.filter + key.upper())[:_LONGEST]
