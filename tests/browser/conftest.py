"""A real browser: Debian's Chromium, driven by Playwright. Where there is none the tests are skipped, but not in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.looking import Looking
from tests.support.served import served
from tests.support.system import System, build

ADMIN, READER = "admin-key-of-a-test", "reader-key-of-a-test"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "no chromium here: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def url(system: System) -> Iterator[str]:
    """A stack without keys."""
    with served(system) as base:
        yield base


@pytest.fixture
def looking(chromium: Browser, url: str) -> Iterator[Looking]:
    """A tab on the stack without keys; at the end it has met no error."""
    with Looking.at(chromium, url) as made:
        yield made


@pytest.fixture
def locked(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[System]:
    """A system with keys in its environment."""
    made = build(database_url, redis_url, tmp_path, {"TOOLOO_ADMIN_KEY": ADMIN, "TOOLOO_API_KEY": READER})
    yield made
    made.close()
