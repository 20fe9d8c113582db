from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.policy import Policy
from app.domain.replay import metrics, trace
from app.domain.replay.replay import POLICIES, Replay, replay
from tests.domain.replay.trace_lines import call, lines, request_row, round_row

POLICY = Policy()
TRACES = Path(__file__).resolve().parents[3].parent / "shared" / "traces"
recorded = pytest.mark.skipif(not TRACES.is_dir(), reason="the traces stand beside the project, in ../shared/traces")

FAST, SLOW, DEAD = call(200), call(600), call(30, ok=False, cost_usd=0)


def made(name: str, rows: list[dict], seed: int = 0, **header: object) -> Replay:
    return replay(lines(rows, **header), name, POLICY, seed)


def steady(count: int, a: list[float], b: list[float], start_s: float = 0.0, every_s: float = 6.0) -> list[dict]:
    """A round, then `count` requests."""
    calls = {"a": a, "b": b}
    return [round_row(start_s, calls)] + [request_row(start_s + n * every_s, calls) for n in range(count)]


def test_the_better_provider_is_served() -> None:
    done = made("tooloo", steady(100, SLOW, FAST))

    assert set(done.decisions) == {"b"}
    assert done.figures["captured"] == 1
    assert done.figures["bestShare"] == 1


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_sees_nothing_but_the_outcome_of_its_choice(name: str) -> None:
    """Live quality, expected utility and what the others would have given may be anything."""
    rows = steady(150, FAST, call(250, quality=0.9)) + steady(150, SLOW, FAST, start_s=3600)
    chosen = made(name, rows).decisions

    requests = [row for row in rows if "request" in row]
    for row, provider in zip(requests, chosen, strict=True):
        row["expected"] = {"a": 0.5, "b": -0.5}
        row["request"] = {
            "a": call(1, ok=False, quality=0),
            "b": call(1, ok=False, quality=0),
            provider: [*row["request"][provider][:3], 0.0, 20],
        }

    assert made(name, rows).decisions == chosen


def test_the_same_seed_gives_the_same_decisions_and_another_seed_others() -> None:
    rows = steady(300, FAST, call(205))

    assert made("tooloo", rows, seed=1).decisions == made("tooloo", rows, seed=1).decisions
    assert made("tooloo", rows, seed=1).decisions != made("tooloo", rows, seed=2).decisions


def test_a_dead_provider_is_left_within_a_few_requests_and_taken_back_after_its_outage() -> None:
    rows = steady(50, FAST, SLOW)
    outage = {"a": DEAD, "b": SLOW}
    rows += [request_row(300 + 6 * n, outage) for n in range(100)]
    rows += [request_row(900 + 6 * n, {"a": FAST, "b": SLOW}) for n in range(200)]

    done = made("tooloo", rows, changes=[50, 150])

    during, after = Counter(done.decisions[50:150]), Counter(done.decisions[250:])
    assert during["a"] <= 12
    assert after["a"] >= 90
    assert all(count is not None and count <= 100 for count in done.figures["adapt"])


def test_fixed_names_its_provider_and_random_takes_all() -> None:
    rows = steady(200, FAST, SLOW)

    assert set(made("fixed:b", rows).decisions) == {"b"}
    assert 70 < Counter(made("random", rows).decisions)["a"] < 130


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize(
    "rows",
    [
        [],  # nothing at all
        [request_row(n, {"a": FAST, "b": SLOW}) for n in range(30)],  # no round
        [round_row(n, {"a": FAST, "b": SLOW}) for n in range(5)],  # no request
        [*steady(30, DEAD, DEAD), *steady(30, DEAD, DEAD, start_s=3600)],  # nothing works
        steady(30, call(0, cost_usd=0), call(0, cost_usd=0)),  # free and instant
    ],
    ids=["empty", "no round", "no request", "all dead", "free and instant"],
)
def test_every_policy_survives_an_odd_trace(name: str, rows: list[dict]) -> None:
    done = made(name, rows)

    assert len(done.decisions) == sum("request" in row for row in rows)
    json.dumps(done.figures)


def test_a_single_provider_is_served_always() -> None:
    rows = [round_row(0, {"a": FAST}), *(request_row(n, {"a": FAST}) for n in range(20))]

    done = made("tooloo", rows, providers=["a"])

    assert set(done.decisions) == {"a"}
    assert done.figures["captured"] is None  # there is nothing to gain


def test_logs_without_expected_utility_are_replayed_without_captured() -> None:
    rows = steady(20, FAST, SLOW)
    for row in rows:
        row.pop("expected", None)

    figures = made("tooloo", rows).figures

    assert (figures["captured"], figures["bestShare"], figures["adapt"]) == (None, None, [])
    assert (figures["requests"], figures["p95Ms"], figures["failRate"]) == (20, 200.0, 0.0)


def test_a_trace_is_read_row_by_row() -> None:
    taken: list[int] = []

    def endless() -> Iterator[str]:
        for number, line in enumerate(lines(steady(10, FAST, SLOW))):
            taken.append(number)
            yield line

    header, rows = trace.read(endless())
    next(rows)

    assert header.providers == ("a", "b")
    assert taken == [0, 1]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ([], "line 1: format None"),
        (["{"], "line 1: not JSON"),
        (["[]"], "line 1: not an object"),
        (lines([], format="other/1"), "line 1: format 'other/1'"),
        (lines([], providers=[]), "line 1: a header names a provider"),
        (lines([], latencyRefMs=0), "references above 0"),
        (lines([], objective={}), "line 1: not a header"),
        (lines([{"t": 0, "request": {"a": call(1)}}]), "line 2: not a row"),
        (lines([{"t": 0, "request": {"a": call(1), "b": [1, 1]}}]), "line 2: not a row"),
        (lines([{"t": 0, "request": {"a": call(-1), "b": call(1)}}]), "not a number of at least 0"),
        (lines([{"t": 0}]), "line 2: not a row"),
        (lines([request_row(0, {"a": FAST, "b": SLOW}), {"t": "x", "round": {}}]), "line 3: not a row"),
    ],
)
def test_a_line_that_is_wrong_is_named(broken: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replay(broken, "tooloo", POLICY, 0)


@pytest.mark.parametrize("name", ["", "best", "fixed:", "fixed:c", "UCB1"])
def test_an_unknown_policy_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=r"known are|providers of this trace are"):
        made(name, [])


@pytest.mark.parametrize(
    ("hits", "changes", "expected"),
    [
        ([True] * 100, [10], [20]),  # at once; 20 are needed to tell
        ([False] * 4 + [True] * 96, [0], [21]),  # 17 of 21
        ([False] * 100 + [True] * 100, [0], [141]),  # 41 of the last 50
        ([False] * 100, [0], [None]),
        ([True] * 30 + [False] * 30, [0, 30], [20, None]),  # each change until the next
        ([True] * 30, [], []),
    ],
)
def test_adaptation_counts_requests_until_four_fifths_go_to_the_new_best(
    hits: list[bool], changes: list[int], expected: list[int | None]
) -> None:
    assert metrics.adaptation(hits, changes) == expected


@recorded
@pytest.mark.parametrize("name", ["tooloo", "thompson"])
def test_the_figures_are_those_of_the_trace_scorer(name: str, tmp_path: Path) -> None:
    path = TRACES / "composite.jsonl.gz"
    with gzip.open(path, "rt") as file:
        done = replay(file, name, POLICY, 0)
    (tmp_path / "decisions").write_text("\n".join(done.decisions))

    scored = subprocess.run(
        [sys.executable, str(TRACES / "score.py"), str(path), str(tmp_path / "decisions")],
        capture_output=True, check=True,
    )  # fmt: skip

    assert {"trace": done.header.name, **done.figures} == json.loads(scored.stdout)
