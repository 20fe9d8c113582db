"""What goes wrong with providers, on a running stack: every request is answered, and traffic goes where it should.

The same scenarios, with more to look at, over services in one process: tests/test_scenarios.py.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.stack.test_story import latest, measured_round
from tests.support.stack import Stack, stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(300)]

#: requests that are looked at together, and how many of them are a clear majority: exploration takes at most 15 %
LOOK, MAJORITY = 20, 14


def share(running: Stack, provider: str) -> int:
    """How many of LOOK requests it answered; none may fail."""
    return Counter(running.chat_targets(LOOK))[provider]


def leads(running: Stack, provider: str) -> None:
    wait_until(lambda: share(running, provider) >= MAJORITY, 60, f"{provider} leads")


def left_alone(running: Stack, provider: str) -> None:
    wait_until(lambda: share(running, provider) <= LOOK - MAJORITY, 60, f"{provider} is left alone")


def healed(running: Stack) -> None:
    """As at the beginning: what was learned of it meanwhile is overcome by rounds."""
    running.tooloo("lab", "reset")

    def again() -> bool:
        measured_round(running)
        return share(running, "deepseek") >= MAJORITY

    wait_until(again, 120, "deepseek leads again")


def test_no_user_notices_what_providers_do(tmp_path: Path) -> None:
    with stack(tmp_path) as running:
        wait_until(lambda: latest(running), 60, "the first round is finished")
        leads(running, "deepseek")

        running.tooloo("lab", "set", "deepseek", "error_rate=1", "error_kind=overloaded")
        left_alone(running, "deepseek")
        assert running.get("/readyz")["breakers"] == {"deepseek/deepseek-chat": "open"}
        healed(running)

        # a price is known with the first answer, before any round
        running.tooloo("lab", "set", "deepseek", "input_price=200", "output_price=200")
        left_alone(running, "deepseek")
        healed(running)

        # nobody grades live traffic: quality is for the next round to find
        running.tooloo("lab", "set", "deepseek", "quality=0.05")
        measured_round(running)
        left_alone(running, "deepseek")
        healed(running)

        for error_rate in (1, 0, 1, 0, 1):
            running.tooloo("lab", "set", "deepseek", f"error_rate={error_rate}")
            share(running, "deepseek")
        left_alone(running, "deepseek")
