"""When a conversation leaves its prompt cache."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import Target
from app.domain.policy import Objective
from app.domain.routing.affinity import Session, Side, weigh
from app.domain.routing.scoring import Figures

HERE, THERE = Target("anthropic", "claude-haiku-4-5"), Target("deepseek", "deepseek-chat")
OBJECTIVE = Objective(latency=0.4, cost=0.3, latency_ref_ms=1000.0, cost_ref_usd=0.006)
M = 1e-6


def side(ms: float, prompt: float, cached: float, good: float = 1.0) -> Side:
    return Side(Figures(ms, 0.0, good, late=min(1.0, ms / 1000), dear=0.0), prompt * M, cached * M)


def test_gain_and_loss_are_the_documented_sums() -> None:
    session = Session(HERE, tokens=10_000, cached=8_000)

    stay = weigh(session, THERE, side(900, 1.0, 0.1), side(400, 0.3, 0.03, good=0.95), OBJECTIVE, token_ms=0.05)

    assert stay.gain_ms == pytest.approx(500)
    assert stay.gain_usd == pytest.approx(0.007)
    assert stay.lost_ms == pytest.approx(400)
    assert stay.lost_usd == pytest.approx(0.0072)
    assert stay.gain == pytest.approx(0.4 * 0.5 + 0.3 * 0.007 / 0.006 - 0.05)
    assert stay.lost == pytest.approx(0.4 * 0.4 + 0.3 * 0.0072 / 0.006)
    assert (stay.why, stay.stays) == ("cache", True)


def test_a_cache_that_holds_nothing_holds_nobody() -> None:
    stay = weigh(Session(HERE, 10_000, 0), THERE, side(401, 1.0, 0.1), side(400, 1.0, 0.1), OBJECTIVE, 0.05)

    assert (stay.why, stay.stays) == ("moved", False)


def test_money_is_not_capped_at_the_reference() -> None:
    """A long conversation costs many times what a probe does: a price of a tenth wins, whatever is cached."""
    dear, cheap = side(500, 10.0, 9.0), side(500, 1.0, 1.0)

    assert weigh(Session(HERE, 100_000, 100_000), THERE, dear, cheap, OBJECTIVE, 0.0).why == "moved"
    assert weigh(Session(HERE, 100_000, 100_000), THERE, side(500, 10.0, 1.0), cheap, OBJECTIVE, 0.05).why == "cache"


def test_what_is_not_known_of_either_weighs_nothing() -> None:
    stay = weigh(Session(HERE, 5_000, 5_000), THERE, Side(None), side(1, 0.0, 0.0), OBJECTIVE, 0.05)

    assert (stay.gain, stay.gain_ms, stay.gain_usd, stay.lost_usd) == (0.0, 0.0, 0.0, 0.0)
    assert stay.stays


numbers = st.floats(0, 1000)


@given(numbers, numbers, numbers, st.floats(0, 1), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_in_the_cache_never_drives_it_away(
    ms: float, prompt: float, cached: float, good: float, tokens: int, more: int
) -> None:
    here, there = side(ms, prompt, min(cached, prompt)), side(300, 0.3, 0.03, good)

    first = weigh(Session(HERE, 10**6, tokens), THERE, here, there, OBJECTIVE, 0.05)
    second = weigh(Session(HERE, 10**6, tokens + more), THERE, here, there, OBJECTIVE, 0.05)

    assert second.stays or not first.stays


def test_a_session_is_what_it_was_when_it_comes_back_from_redis() -> None:
    session = Session(Target("openrouter", "deepseek/v3"), 10, 3)

    assert Session.from_json(json.loads(json.dumps(session.to_json()))) == session


@pytest.mark.parametrize("document", [None, [], {}, {"target": "x", "tokens": 1, "cached": 0}, {"target": 5}, "x"])
def test_what_is_no_session_is_a_value_error(document: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Session.from_json(document)
