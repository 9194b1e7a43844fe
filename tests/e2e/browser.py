"""Headless Chromium, for tests of the page: Debian's `chromium` and `chromium-driver`."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

WIDE, NARROW = (1440, 900), (375, 812)
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")
_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""

is_installed = bool(shutil.which("chromedriver") and shutil.which("chromium"))


class Browser:
    """A browser window, of a size and a theme."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self._cdp("Page.addScriptToEvaluateOnNewDocument", source=_VIOLATIONS)

    def look(self, size: tuple[int, int], is_dark: bool) -> None:
        """Set the size and the theme of the system."""
        width, height = size
        self._cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._cdp("Emulation.setEmulatedMedia", features=[scheme])

    def _cdp(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def text(self, selector: str) -> str:
        """Return the visible text of the first element."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> float:
        """Wait until something holds. Return the seconds that it took."""
        begin = time.monotonic()
        while not self._holds(condition):
            if time.monotonic() - begin > timeout:
                raise AssertionError(f"{what}: not within {timeout:.0f} s; the page says: {self.text('body')[:2000]}")
            time.sleep(0.02)
        return time.monotonic() - begin

    @staticmethod
    def _holds(condition: Callable[[], object]) -> bool:
        try:
            return bool(condition())
        except StaleElementReferenceException:
            return False

    def complaints(self) -> list[str]:
        """Return errors of the console and violations of the policy, since the last call."""
        log: list[dict[str, str]] = self.driver.execute("getLog", {"type": "browser"})["value"]
        errors = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
        return errors + list(self.run("return window.violations.splice(0)"))

    def overflow(self) -> int:
        """Return the pixels by which the page is wider than the window."""
        return int(self.run("return document.documentElement.scrollWidth - window.innerWidth"))

    def save(self, file: Path) -> None:
        """Save a screenshot."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(file))


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
