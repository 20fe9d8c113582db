from __future__ import annotations

import json

import pytest

from app.domain.routing.breaker import Breaker
from tests.domain.small_world import POLICY, START, later


def after(breaker: Breaker, success: bool, seconds: float = 0, **error: object) -> Breaker:
    given = {"error_class": "server_error", "needs_person": False, "retry_after_s": None, **error}
    return breaker.after(success, now=later(seconds=seconds), policy=POLICY.breaker, **given)  # type: ignore[arg-type]


def test_three_failures_in_a_row_open_it_until_a_first_trial() -> None:
    breaker = Breaker()
    for _ in range(3):
        assert breaker.allows(START) == "closed"
        breaker = after(breaker, False)

    assert breaker.allows(later(seconds=14)) == "open"
    assert breaker.allows(later(seconds=15)) == "half_open"


def test_trials_are_as_far_apart_as_the_outage_is_old() -> None:
    breaker = after(Breaker(failures=2), False)
    trials = []
    for _ in range(7):
        assert breaker.open_until is not None
        trials.append((breaker.open_until - START).total_seconds())
        breaker = after(breaker, False, seconds=trials[-1])

    assert trials == [15, 30, 60, 120, 240, 480, 780]


def test_a_call_that_was_under_way_when_it_opened_does_not_put_the_trial_off() -> None:
    opened = after(Breaker(failures=2), False)

    assert after(opened, False, seconds=10).open_until == opened.open_until


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker()
    for success in (False, False, True, False, False):
        breaker = after(breaker, success)

    assert breaker.allows(START) == "closed"


@pytest.mark.parametrize(("trial", "state"), [(True, "closed"), (False, "open")])
def test_the_trial_decides(trial: bool, state: str) -> None:
    breaker = Breaker(failures=3, open_until=later(seconds=60), reason="server_error")

    assert after(breaker, trial, seconds=61).allows(later(seconds=62)) == state


def test_what_needs_a_person_opens_it_at_once_for_long_and_says_so() -> None:
    breaker = after(Breaker(), False, error_class="bad_key", needs_person=True)

    assert breaker.allows(later(seconds=899)) == "open"
    assert breaker.reason == "bad_key"


def test_the_providers_own_delay_is_obeyed_from_the_first_failure() -> None:
    breaker = after(Breaker(), False, error_class="rate_limited", retry_after_s=48.9)

    assert breaker.allows(later(seconds=48)) == "open"
    assert breaker.allows(later(seconds=49)) == "half_open"


def test_a_delay_beyond_reason_is_cut() -> None:
    breaker = after(Breaker(), False, error_class="rate_limited", retry_after_s=1e9)

    assert breaker.allows(later(seconds=3599)) == "open"
    assert breaker.allows(later(hours=1)) == "half_open"


def test_it_remembers_when_it_last_opened() -> None:
    opened = after(Breaker(failures=2), False)
    again = after(opened, False, seconds=60)

    assert (opened.opened_at, again.opened_at) == (START, later(seconds=60))
    assert after(Breaker(), False).opened_at is None


def test_the_journey_through_json_loses_nothing() -> None:
    for breaker in (Breaker(), Breaker(3, later(seconds=5), "overloaded", START, START)):
        assert Breaker.from_json(json.loads(json.dumps(breaker.to_json()))) == breaker


@pytest.mark.parametrize("document", [{}, {"failures": 1}, {"failures": 0, "open_until": "soon", "reason": ""}])
def test_what_is_no_breaker_is_said_to_be_none(document: dict) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - either of two messages
        Breaker.from_json(document)
