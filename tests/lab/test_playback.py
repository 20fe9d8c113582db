"""Which row of a trace answers a call; see tests/lab/traces.py for the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import Conflict, InvalidRequest
from app.lab.playback import Playback
from app.lab.trace import read_trace
from tests.lab import traces

WEST, GROQ = "azure.west", "groq"


@pytest.fixture
def playback(tmp_path: Path) -> Playback:
    return Playback(read_trace(traces.write(tmp_path)), speed=10)


def latency_ms(
    playback: Playback, provider: str, now_s: float, *, prompt: int | None = None, said: str = "hi"
) -> float:
    return playback.sample(provider, prompt, said, now_s).latency_ms


@pytest.mark.parametrize(
    ("elapsed_s", "live_ms"),
    [
        # rows stand at 100, 200, 300 and 400 s; at speed 10 the trace takes 30 s
        (0.0, 13),
        (9.9, 13),
        (10.0, 14),
        (20.0, 18),
        (29.9, 18),
        (30.0, 19),
        (999.0, 19),
    ],
)
def test_by_the_clock_a_request_meets_the_row_of_its_time(playback: Playback, elapsed_s: float, live_ms: float) -> None:
    latency_ms(playback, GROQ, 5000.0, said="the clock starts with the first call")
    assert latency_ms(playback, WEST, 5000.0 + elapsed_s) == live_ms


def test_a_benchmark_prompt_meets_its_sample_of_the_latest_round(playback: Playback) -> None:
    first = [latency_ms(playback, WEST, 0.0, prompt=number) for number in (0, 1, 2, 3)]
    later = [latency_ms(playback, WEST, 25.0, prompt=number) for number in (3, 0, 0, 1, 2)]
    # round and round where there are more prompts than samples, and the same for a probe that is sent twice
    assert first == [11, 12, 11, 12]
    assert later == [15, 15, 15, 16, 17]


def test_a_request_that_fails_over_meets_the_same_row_although_time_goes_on(playback: Playback) -> None:
    playback.sample(WEST, None, "start", 0.0)
    assert latency_ms(playback, WEST, 19.9, said="mine") == 14
    assert latency_ms(playback, GROQ, 20.1, said="mine") == 24
    # served: what comes now is another request
    assert latency_ms(playback, GROQ, 20.2, said="mine") == 28


def test_the_same_words_at_the_same_provider_are_another_request(playback: Playback) -> None:
    playback.sample(WEST, None, "start", 0.0)
    assert latency_ms(playback, WEST, 19.9, said="mine") == 14
    assert latency_ms(playback, WEST, 20.1, said="mine") == 18


def test_other_words_are_another_request(playback: Playback) -> None:
    playback.sample(WEST, None, "start", 0.0)
    assert latency_ms(playback, WEST, 19.9, said="mine") == 14
    assert latency_ms(playback, GROQ, 20.1, said="yours") == 28


def test_a_failure_of_long_ago_is_forgotten(playback: Playback) -> None:
    playback.sample(WEST, None, "start", 0.0)
    assert latency_ms(playback, WEST, 19.9, said="mine") == 14
    assert latency_ms(playback, GROQ, 100.0, said="mine") == 29


def test_by_hand_every_call_meets_the_row_that_was_named(playback: Playback) -> None:
    playback.advance("next")
    playback.advance("next_request")
    assert [latency_ms(playback, name, now, said="same") for name in (WEST, GROQ) for now in (0.0, 1e6)] == [
        13,
        13,
        23,
        23,
    ]
    playback.advance("next_request")
    assert latency_ms(playback, WEST, 0.0) == 14
    playback.advance("next_round")
    assert latency_ms(playback, WEST, 0.0, prompt=1) == 16
    playback.advance("next_request")
    assert latency_ms(playback, GROQ, 0.0) == 28


def test_by_hand_a_walk_over_all_rows_meets_each_once(playback: Playback) -> None:
    walk = []
    for _ in playback.trace.rows:
        playback.advance("next")
        state = playback.state(0.0)
        walk.append((state["kind"], state["round"], state["request"]))
    assert walk == [
        ("round", 0, 0),
        ("request", 0, 0),
        ("request", 0, 1),
        ("round", 1, 1),
        ("request", 1, 2),
        ("request", 1, 3),
    ]
    assert playback.state(0.0)["last"]
    with pytest.raises(Conflict, match="ends here"):
        playback.advance("next")


def test_a_row_can_be_named_by_number(playback: Playback) -> None:
    playback.advance("request", 3)
    assert latency_ms(playback, WEST, 0.0) == 19
    playback.advance("round", 0)
    assert latency_ms(playback, WEST, 0.0, prompt=0) == 11
    playback.advance("start")
    assert playback.state(0.0)["row"] == 0


@pytest.mark.parametrize(
    ("to", "number", "field"), [("sideways", None, "to"), ("round", 2, "round"), ("request", -1, "request")]
)
def test_a_place_that_is_not_there_is_refused(playback: Playback, to: str, number: int | None, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        playback.advance(to, number)
    assert refused.value.field == field


def test_the_first_move_by_hand_stops_the_clock(playback: Playback) -> None:
    playback.sample(WEST, None, "start", 0.0)
    assert playback.state(25.0)["mode"] == "clock"
    playback.advance("start")
    assert (playback.state(25.0)["mode"], playback.state(25.0)["row"]) == ("hand", 0)


def test_a_trace_without_rounds_answers_benchmarks_from_its_requests(tmp_path: Path) -> None:
    rows = [row for row in traces.ROWS if "request" in row]
    playback = Playback(read_trace(traces.write(tmp_path, rows=rows)), speed=1)
    assert latency_ms(playback, WEST, 0.0, prompt=1) == 13
    assert playback.state(0.0)["round"] is None
