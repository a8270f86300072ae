"""A person's browser, Debian's chromium: it fails a test on a console error or a request to another host."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launchers.process import ROOT
from tests import programs

#: CI keeps what lies there.
SCREENSHOTS = ROOT / "build/screenshots"

#: For everything that a page is waited for; playwright's own 30 seconds pass on a machine that is held up.
TIMEOUT_MILLISECONDS = 120_000

#: The ways in which the page is looked at.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}},
    "zh": {"locale": "zh-CN"},
}


@contextmanager
def launch() -> Iterator["Browser"]:
    """Start chromium; skip the test where it or playwright is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        programs.skip("needs playwright, of the extra test")
    with sync_playwright() as playwright:
        path = programs.program("chromium")
        browser = playwright.chromium.launch(executable_path=path, timeout=TIMEOUT_MILLISECONDS)
        yield Browser(browser)
        browser.close()


class Browser:
    """Opens pages, and knows what went wrong in them."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.problems: list[str] = []

    def open(self, url: str, **look: Any) -> Any:
        """Open the page in a window of its own and wait until it knows the models."""
        page = self.open_bare(url, **look)
        page.wait_for_selector("#model option", state="attached")
        return page

    def open_bare(self, url: str, **look: Any) -> Any:
        """Open the page in a window of its own."""
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-US"} | look)
        origin = re.match(r"https?://[^/]+", url)
        assert origin
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._see(request.url, origin[0]))
        page.goto(url)
        return page

    def close(self) -> None:
        """Close every window."""
        for context in self._browser.contexts:
            context.close()
        self.problems.clear()

    def _see(self, url: str, origin: str) -> None:
        if not url.startswith(f"{origin}/"):
            self.problems.append(f"the page asked for {url}")


def judge(page: Any) -> list[str]:
    """Return what axe-core finds wrong for people who use the page otherwise than most."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


def keep(page: Any, name: str) -> Path:
    """Write a screenshot of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
