"""Names that others chose (of models, providers, segments, keys, who gave feedback): on every page they are text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, expect

from app.access import keys
from app.domain.keys import Scope
from app.operations import rolling
from app.store import database, feedback, outcomes
from tests.api.test_request_list import attempt, entry, log
from tests.browser.looking import Looking
from tests.store.test_outcomes import row
from tests.support.rounds import run_round
from tests.support.system import System

MARKUP = "</script><img src=x onerror=alert(1)><b>\"'{{7*7}}"
#: as no name is taken in by the API, but as a provider or an older release may have left it in the tables
HOSTILE = f"{MARKUP}\u202e\u0007"
PAGES = (
    *("/", "/requests", "/requests/r1", "/better", "/timeline", "/rounds", "/what-if"),
    *("/config", "/spend?by=segment", "/keys", "/health"),
)
#: where at least one of them is seen
SHOWN = ("/requests", "/requests/r1", "/timeline", "/spend?by=segment", "/keys", "/")


@pytest.fixture
def named(system: System) -> System:
    """A system in whose tables everything that has a name has this one."""
    services, now = system.services, datetime.now(UTC)
    run_round(system)
    names = {"provider": HOSTILE, "model": HOSTILE}
    attempts = [{**attempt(HOSTILE, HOSTILE), "model": HOSTILE}, attempt("deepseek")]
    candidate = {"eligible": False, "reasons": [HOSTILE], "why": HOSTILE, "score": 0.5, **names}
    why = {
        "reason": HOSTILE, "order": [f"{HOSTILE}/{HOSTILE}"], "explored": True, "propensity": 0.5,
        "explorationRate": 0.1, "weights": {HOSTILE: 0.5}, "quota": {}, "candidates": [candidate],
    }  # fmt: skip
    others = {"key": HOSTILE, "segment": HOSTILE, "asked": HOSTILE, "attempts": attempts, "explanation": why}
    log(system, entry("r1", 0.5, **others, **names))
    with database.transaction(services.sessions) as session:
        rows = [row(f"r{n}", at=now, segment=HOSTILE, cost_usd=0.01, **names) for n in range(3)]
        assert len(outcomes.record(session, rows)) == len(rows)
        feedback.save(session, "r1", 0.0, HOSTILE)
    rolling.roll_up(services)
    keys.create(
        services.sessions, services.redis, HOSTILE, frozenset({Scope.READ}), segment=HOSTILE, created_by=HOSTILE
    )
    return system


@pytest.mark.parametrize("path", PAGES)
def test_a_name_is_text(chromium: Browser, named: System, url: str, path: str) -> None:
    with Looking.at(chromium, url) as looking:
        page = looking.go(path)
        page.wait_for_load_state("load")
        main = page.locator("main")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if path in SHOWN:
            expect(main).to_contain_text("onerror=alert(1)")
        assert page.locator("main img, main b").count() == 0
        assert not {"\u202e", "\u0007"} & set(main.inner_text())
        assert "49" not in main.inner_text().split("onerror")[-1][:20]
