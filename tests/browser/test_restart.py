"""An API that is stopped and started again, as a process: the page says so, and comes back by itself."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.browser.looking import Looking
from tests.support.commands import environment
from tests.support.ports import free_port
from tests.support.rounds import run_round
from tests.support.stack import TOOLOO
from tests.support.system import ROOT, System
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)
#: s, on a machine that is busy
START_S = 120


@contextmanager
def api(system: System, folder: Path, port: int) -> Iterator[str]:
    """The process that `tooloo api` is, until it has ended."""
    settings = system.services.settings
    changes = {
        "PYTHONPATH": str(ROOT), "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url,
        "TOOLOO_CONFIG_DIR": str(settings.config_dir), "TOOLOO_DATA_DIR": str(folder / "data"),
        "TOOLOO_PORT": str(port), "TOOLOO_LAB_URL": "http://lab.invalid",
    }  # fmt: skip
    with (folder / "api.log").open("a") as log:
        process = subprocess.Popen([*TOOLOO, "api"], env=environment(changes), cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url, process), START_S, what="the API answers")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the API process ended"
    try:
        return requests.get(f"{url}/healthz", timeout=5).status_code < 500
    except requests.ConnectionError:
        return False


def test_a_page_grows_old_without_the_api_and_is_live_again_with_it(
    chromium: Browser, system: System, tmp_path: Path
) -> None:
    run_round(system)
    port = free_port()
    with Looking.at(chromium, f"http://127.0.0.1:{port}") as looking:
        page = looking.page
        with api(system, tmp_path, port):
            page.clock.install()
            looking.go("/")
            expect(page.locator("#age")).to_have_class("age")
            page.evaluate("() => { window.loadedOnce = true; }")
        page.clock.run_for(12_000)
        expect(page.locator("#age")).to_have_class("age amber")
        page.clock.run_for(25_000)
        expect(page.locator("#age")).to_have_class("age red")
        expect(page.locator("#age-text")).to_contain_text(re.compile(r"no word from the API since \d\d:\d\d"))
        expect(page.locator("html")).to_have_class("stale")
        page.clock.resume()
        with api(system, tmp_path, port) as url:
            expect(page.locator("#age")).to_have_class("age", timeout=1000 * START_S)
            expect(page.locator("html")).not_to_have_class("stale")
            expect(page.locator("#said")).to_have_text("The API answers again.")
            change = {"explorationRate": 0.2, "reason": "after the restart"}
            assert requests.post(f"{url}/api/v1/system/runtime-config", json=change, timeout=20).ok
            expect(page.locator("#changes")).to_contain_text("after the restart")
            assert page.evaluate("() => window.loadedOnce")
            page.goto("about:blank")  # it hears nothing of the second end
        looking.trouble.clear()  # the browser notes every try that met nobody
