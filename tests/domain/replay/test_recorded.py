"""A trace from what was recorded, and the bars that a router is held to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.domain.outcome import Source
from app.domain.replay import trace
from app.domain.replay.recorded import FinishedRound, LiveCall, trace_lines
from app.domain.replay.replay import replay
from app.domain.replay.thresholds import missed
from tests.domain.replay.trace_lines import lines
from tests.domain.small_world import DEEPSEEK, GEMINI, OPENAI, POLICY, later, outcome, table


def call(target, ms: float, first: bool = True, **at: float) -> LiveCall:  # type: ignore[no-untyped-def]  # a Target
    return LiveCall(outcome(target, ms, source=Source.LIVE, at=later(**at)), first)


def finished(latencies: dict, **at: float) -> FinishedRound:
    return FinishedRound(later(**at), [replace(o, at=later(**at)) for o in table(latencies, 3)])


def test_a_request_holds_what_was_and_the_nearest_call_of_the_others() -> None:
    events = [
        finished({DEEPSEEK: 240, GEMINI: 350}, minutes=0),
        call(DEEPSEEK, 250, minutes=1),
        call(GEMINI, 300, seconds=110),
        call(DEEPSEEK, 260, minutes=3),
        call(GEMINI, 9999, first=False, minutes=3),
        call(OPENAI, 1, minutes=4),  # no round measured it
        finished({DEEPSEEK: 500, GEMINI: 360}, minutes=60),
    ]

    header, *rows = map(json.loads, trace_lines(reversed(events), POLICY, simulated=False))

    assert (header["providers"], header["roundIntervalS"], header["simulated"]) == (
        ["deepseek/m", "gemini/m"], 3600.0, False,
    )  # fmt: skip
    requests = [row for row in rows if "request" in row]
    assert [(row["t"], row["chosen"]) for row in requests] == [
        (60, "deepseek/m"), (110, "gemini/m"), (180, "deepseek/m"),
    ]  # fmt: skip
    assert requests[0]["request"]["deepseek/m"][0] == 250
    assert requests[0]["request"]["gemini/m"][0] == 300  # 50 s off, and the round before it 60
    assert requests[1]["request"]["deepseek/m"][0] in (250, 260)
    assert "expected" not in requests[0]


def test_what_was_recorded_can_be_replayed() -> None:
    events = [finished({DEEPSEEK: 240, GEMINI: 350}, minutes=0), *(call(GEMINI, 350, seconds=n) for n in range(1, 50))]

    done = replay(trace_lines(events, POLICY, simulated=True), "tooloo", POLICY, 0)

    share = done.decisions.count("gemini/m") / len(done.decisions)
    assert set(done.decisions) <= {"deepseek/m", "gemini/m"}
    assert share < 0.2  # explored
    assert done.figures["captured"] is None
    worth = 1 - 0.4 * (0.24 + share * 0.11) - 0.3 * 0.001 / 0.006
    assert done.figures["utility"] == {"observed": pytest.approx(worth, abs=1e-4)}


def test_without_a_round_there_is_nothing_to_replay() -> None:
    with pytest.raises(ValueError, match="no finished round"):
        list(trace_lines([call(DEEPSEEK, 240, minutes=1)], POLICY, simulated=True))


@pytest.mark.parametrize(
    ("name", "simulated", "figures", "static", "said"),
    [
        ("stationary", True, {}, 0.96, []),
        ("stationary", True, {"captured": 0.94}, 0.94, ["captured 0.940 < 0.95"]),
        ("stationary", True, {}, 0.98, ["captured 0.960, static 0.980"]),
        ("tf-gpt4", False, {"captured": 0.93}, 0.93, []),
        ("tf-gpt4", False, {"captured": 0.91}, 0.91, ["captured 0.910 < 0.92"]),
        ("flapping", True, {"captured": 0.92}, 0.92, []),
        ("outage_503_30min", True, {"failRate": 0.031}, 0.9, ["failed 3.10% > 3%"]),
        ("price_change", True, {"adapt": [101]}, 0.9, ["adapts after 101 > 100 requests"]),
        ("degrade_recover", True, {"adapt": [20, None]}, 0.9, ["adapts after never > 100 requests"]),
        ("flapping", True, {"adapt": [None]}, 0.9, []),
    ],
)
def test_a_bar_that_is_missed_is_said_with_its_numbers(
    name: str, simulated: bool, figures: dict, static: float, said: list[str]
) -> None:

    header, _ = trace.read(lines([], name=name, simulated=simulated))
    fine = {"captured": 0.96, "failRate": 0.02, "adapt": [20]}

    assert missed(header, [fine, {**fine, **figures}], {"captured": static}) == said
