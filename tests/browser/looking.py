"""A tab that notices what a person with the console open would: errors, refused resources, failed requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, expect

#: the accessibility checker of Deque's, as axe-playwright-python carries it
AXE = Path(str(distribution("axe-playwright-python").locate_file("axe_playwright_python/axe.min.js"))).read_text()
WIDTHS = {"desk": (1280, 800), "phone": (390, 844)}
#: ms until a page that does not do what it should has failed
PATIENCE_MS = 15_000

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Looking:
    url: str
    page: Page
    #: what went wrong in the tab; a test that provokes some takes it out
    trouble: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def at(
        cls, chromium: Browser, url: str, *, width: str = "desk", scheme: Literal["light", "dark"] = "light"
    ) -> Iterator[Looking]:
        size = WIDTHS[width]
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
        )
        context.set_default_timeout(PATIENCE_MS)
        looking = cls(url, context.new_page())
        looking._listen()
        yield looking
        context.close()
        assert not looking.trouble, looking.trouble

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path, wait_until="domcontentloaded")
        return self.page

    def sign_in(self, key: str, path: str = "/") -> Page:
        self.go(path)
        self.page.get_by_label("Key", exact=True).fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(re.compile(r"^(?!.*sign-in)"))
        return self.page

    def violations(self) -> list[str]:
        """What axe finds on the page as it is: rule, and where."""
        self.page.evaluate(AXE)
        found: dict[str, Any] = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['target']}: {node['html'][:120]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(
            self.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def _listen(self) -> None:
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("console", lambda line: self._heard(line.type, line.text))
        self.page.on("dialog", lambda dialog: self.trouble.append(f"dialog: {dialog.message}"))

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.trouble.append(f"{kind}: {text}")
