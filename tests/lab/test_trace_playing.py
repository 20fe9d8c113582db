"""A trace played over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app.config_files import load_policy, load_prompts, load_providers
from app.errors import ConfigError
from app.lab.playback import Playback
from app.lab.trace import read_trace
from app.lab.trace_config import providers_of, write_config
from tests.lab import traces
from tests.support.lab import CONFIG, RunningLab, quality_said, running_lab

SPEED = 10.0
RECORDED = Path(__file__).resolve().parents[2] / ".." / "shared" / "traces" / "tf-gpt4.jsonl.gz"


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[RunningLab]:
    trace = read_trace(traces.write(tmp_path))
    with running_lab(quality_said, providers=providers_of(trace, SPEED), playback=Playback(trace, SPEED)) as lab:
        yield lab


def ask(lab: RunningLab, provider: str, text: str = "hello", **more: Any) -> requests.Response:
    body = {"model": "default", "messages": [{"role": "user", "content": text}], **more}
    return requests.post(f"{lab.url}/{provider}/chat/completions", json=body, timeout=10)


def test_an_answer_has_the_recorded_time_cost_tokens_and_quality(playing: RunningLab) -> None:
    playing.advance(request=1)
    answer = ask(playing, "groq")
    assert answer.status_code == 200
    assert answer.headers["x-lab-cost"] == "0.001"
    assert answer.headers["x-lab-quality"] == "0.25"
    assert answer.json()["usage"]["completion_tokens"] == 30
    assert answer.json()["choices"][0]["message"]["content"] == "0.25 None"
    # 24 ms as recorded, ten times as fast
    assert playing.last()["dueMs"] == 2.4


def test_a_recorded_failure_is_a_503_at_its_time(playing: RunningLab) -> None:
    playing.advance(request=1)
    answer = ask(playing, "azure.west")
    assert (answer.status_code, "overloaded" in answer.json()["error"]["message"]) == (503, True)
    assert playing.last()["dueMs"] == 1.4


def test_a_stream_comes_whole_at_the_recorded_time(playing: RunningLab) -> None:
    playing.advance(request=0)
    assert "data: [DONE]" in ask(playing, "groq", stream=True).text
    assert playing.last()["dueMs"] == 2.3


def test_the_standard_prompts_are_answered_from_the_round(playing: RunningLab) -> None:
    playing.advance(to="next_round")
    playing.advance(to="next_round")
    prompts = load_prompts(CONFIG)
    for prompt in prompts:
        ask(playing, "azure.west", prompt.text)
    seen = playing.get(f"/lab/requests?last={len(prompts)}")["recent"]
    assert [one["promptId"] for one in seen] == [prompt.id for prompt in prompts]
    assert [one["dueMs"] for one in seen] == [(1.5, 1.6, 1.7)[number % 3] for number in range(len(prompts))]


def test_a_driver_is_told_where_it_stands(playing: RunningLab) -> None:
    assert playing.get("/lab/trace")["mode"] == "clock"
    state = playing.advance(to="next_request")
    assert {key: state[key] for key in ("trace", "speed", "mode", "kind", "request", "requests", "t", "recorded")} == {
        "trace": "small",
        "speed": SPEED,
        "mode": "hand",
        "kind": "request",
        "request": 0,
        "requests": 4,
        "t": 100.0,
        "recorded": True,
    }


@pytest.mark.parametrize("body", [{}, {"to": "next", "round": 1}, {"row": 1}, {"round": "1"}, {"round": True}])
def test_a_move_that_is_not_clear_is_refused(playing: RunningLab, body: dict[str, Any]) -> None:
    answer = requests.post(f"{playing.url}/lab/trace/advance", json=body, timeout=5)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_while_a_trace_plays_there_are_no_profiles_to_change(playing: RunningLab) -> None:
    answer = requests.patch(f"{playing.url}/lab/profiles/groq", json={"latency": 1}, timeout=5)
    assert answer.status_code == 409
    assert playing.get("/lab/profiles")["providers"] == {}


def test_the_config_of_a_trace_is_read_by_the_stack(tmp_path: Path) -> None:
    trace = read_trace(traces.write(tmp_path))
    write_config(trace, SPEED, CONFIG, tmp_path / "config", replace_files=False)
    providers, policy = load_providers(tmp_path / "config"), load_policy(tmp_path / "config")
    assert [(one.name, one.models, one.key_env, one.priority) for one in providers] == [
        ("azure.west", ("default",), None, 1),
        ("groq", ("default",), None, 2),
    ]
    assert {one.base_url for one in providers} == {"http://lab.invalid"}
    # what is measured is a tenth of what was recorded
    assert (policy.objective.latency_ref_ms, policy.objective.cost_ref_usd) == (100.0, 0.006)
    assert policy.rounds.interval_s == 360
    assert policy.breaker == load_policy(CONFIG).breaker
    assert load_prompts(tmp_path / "config") == load_prompts(CONFIG)


def test_a_config_folder_is_not_overwritten_unasked(tmp_path: Path) -> None:
    trace = read_trace(traces.write(tmp_path))
    write_config(trace, SPEED, CONFIG, tmp_path / "config", replace_files=False)
    with pytest.raises(ConfigError, match="already holds"):
        write_config(trace, SPEED, CONFIG, tmp_path / "config", replace_files=False)
    write_config(trace, 1.0, CONFIG, tmp_path / "config", replace_files=True)
    assert load_policy(tmp_path / "config").objective.latency_ref_ms == 1000.0


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded traces are not on this machine")
def test_six_recorded_hosts_are_served_and_time_is_left_for_the_slowest(tmp_path: Path) -> None:
    trace = read_trace(RECORDED)
    write_config(trace, 1.0, CONFIG, tmp_path, replace_files=False)
    assert min(one.timeout_ms for one in load_providers(tmp_path)) > trace.slowest_ms
    assert load_policy(tmp_path).gateway.deadline_ms > trace.slowest_ms
    with running_lab(quality_said, providers=providers_of(trace, 1000.0), playback=Playback(trace, 1000.0)) as lab:
        lab.advance(request=5)
        for provider in trace.providers:
            assert ask(lab, provider).status_code == 200
        seen = lab.get(f"/lab/requests?last={len(trace.providers)}")["recent"]
    row = [row for row in trace.rows if not row.is_round][5]
    assert [one["dueMs"] * 1000 for one in seen] == pytest.approx(
        [row.samples[provider][0].latency_ms for provider in trace.providers], abs=1
    )
