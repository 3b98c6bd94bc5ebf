"""Debian's Chromium, driven by Playwright: pages as people see them, and what is wrong with them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from local.files import CHECKOUT

SCREENS = CHECKOUT / "build/screens"
Width = Literal["wide", "narrow"]
WIDTHS: dict[Width, int] = {"wide": 1280, "narrow": 390}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Both widths and both schemes, in half of the time.
CHECKED = (("wide", "light"), ("narrow", "dark"))
HEIGHT = 900
AXE = CHECKOUT / ".venv-clients/npm/node_modules/axe-core/axe.min.js"
# What axe calls the impact of an issue.
SERIOUS = frozenset({"serious", "critical"})


class ChromiumMissing(Exception):
    """There is no browser to test with."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser; Playwright's own would have to come from outside the package indexes."""
    path = shutil.which("chromium")
    if path is None:
        raise ChromiumMissing("the package `chromium` is missing: apt-get install chromium (.ci/run does it)")
    with sync_playwright() as playwright:
        # Root has no sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """A person with a browser of their own: no cookies of others, and nothing passes unnoticed."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self.base_url = base_url
        self.complaints: list[str] = []
        """What a developer would see in the console, and requests that leave the service."""
        self.context: BrowserContext = browser.new_context(
            base_url=base_url,
            viewport={"width": WIDTHS["wide"], "height": HEIGHT},
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._watch)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location['url']}")

    def _watch(self, request: Request) -> None:
        if not request.url.startswith((self.base_url, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {request.url}")

    def go(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def look(self, name: str) -> None:
        """Screenshots of this page in both widths and schemes; it must have no serious issue."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        found = []
        # What Playwright and axe do to a page has styles that the page's policy refuses.
        self.page.remove_listener("console", self._hear)
        for width, pixels in WIDTHS.items():
            self.page.set_viewport_size({"width": pixels, "height": HEIGHT})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                self.page.screenshot(path=SCREENS / f"{name}-{width}-{scheme}.png", full_page=True)
                if (width, scheme) in CHECKED:
                    found += [f"{width} {scheme}: {issue}" for issue in serious_issues(self.page)]
        self.page.set_viewport_size({"width": WIDTHS["wide"], "height": HEIGHT})
        self.page.emulate_media(color_scheme="light")
        self.page.on("console", self._hear)
        assert not found, f"{name}:\n" + "\n".join(found)

    def sideways(self) -> int:
        """By how many pixels a phone's reader would have to scroll to the right."""
        self.page.set_viewport_size({"width": 360, "height": HEIGHT})
        over: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        self.page.set_viewport_size({"width": WIDTHS["wide"], "height": HEIGHT})
        return over


def serious_issues(page: Page) -> list[str]:
    """What axe finds that keeps people from using the page: rule, what it says, where."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    issues = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [
        f"{issue['id']}: {issue['help']}: {node['html'][:200]}"
        for issue in issues
        if issue["impact"] in SERIOUS
        for node in issue["nodes"][:3]
    ]
