"""The lab's own routes."""

from __future__ import annotations

import pytest
import requests

from app.config_files import load_prompts
from app.domain.catalog import Provider, WireFormat
from tests.lab.calls import ANTHROPIC, DEEPSEEK, GEMINI, OPENAI
from tests.support.lab import CONFIG, RunningLab, quality_said, running_lab


def test_it_says_that_it_lives_and_is_simulated(lab: RunningLab) -> None:
    body = requests.get(f"{lab.url}/healthz", timeout=5).json()
    assert (body["status"], body["simulated"]) == ("ok", True)
    assert body["providers"] == ["deepseek", "gemini", "anthropic", "openai"]


def test_profiles_say_what_was_changed() -> None:
    with running_lab(instant=False) as lab:
        lab.set("deepseek", latency=450, error_rate=0.1)
        shown = lab.get("/lab/profiles")
    assert (shown["simulated"], shown["profile"]) == (True, "standard")
    assert (shown["providers"]["deepseek"]["latency"], shown["providers"]["deepseek"]["changed"]) == (
        450,
        ["latency", "error_rate"],
    )
    assert shown["providers"]["openai"]["changed"] == []


def test_a_change_holds_for_the_next_request(lab: RunningLab) -> None:
    assert OPENAI.call(lab).status_code == 200
    lab.set("openai", error_rate=1)
    assert OPENAI.call(lab).status_code == 500
    lab.set("openai", error_rate=0)
    assert OPENAI.call(lab).status_code == 200


def test_a_change_that_is_wrong_in_part_changes_nothing(lab: RunningLab) -> None:
    answer = requests.patch(f"{lab.url}/lab/profiles/openai", json={"latency": 7, "error_rate": 3}, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "invalid_request",
        "message": "error_rate: Input should be less than or equal to 1: got 3",
        "field": "error_rate",
    }
    assert lab.get("/lab/profiles")["providers"]["openai"]["latency"] == 0


def test_reset_undoes_every_change_and_a_switch_is_to_another_set() -> None:
    with running_lab(instant=False) as lab:
        lab.set("deepseek", latency=450)
        requests.post(f"{lab.url}/lab/reset", json={}, timeout=5)
        assert lab.get("/lab/profiles")["providers"]["deepseek"]["latency"] == 240
        requests.post(f"{lab.url}/lab/profile/realistic", json={}, timeout=5)
        shown = lab.get("/lab/profiles")
        assert (shown["profile"], shown["providers"]["deepseek"]["latency"]) == ("realistic", 900)
        lab.set("deepseek", latency=1)
        requests.post(f"{lab.url}/lab/reset", json={}, timeout=5)
        assert lab.get("/lab/profiles")["providers"]["deepseek"]["latency"] == 900


def test_requests_are_shown_as_they_stood_on_the_wire(lab: RunningLab) -> None:
    OPENAI.call(lab, temperature=0.3, max_tokens=50, seed=7)
    seen = lab.last()
    assert seen["parameters"] == {"model": "gpt-4.1-mini", "temperature": 0.3, "max_tokens": 50, "seed": 7}
    GEMINI.call(lab, generationConfig={"topP": 0.9})
    assert lab.last()["parameters"] == {"generationConfig": {"topP": 0.9}}
    ANTHROPIC.call(lab, stream=True)
    seen = lab.last()
    assert (seen["provider"], seen["stream"], seen["status"], seen["outcome"]) == ("anthropic", True, 200, "answered")


def test_counters_add_up(lab: RunningLab) -> None:
    OPENAI.call(lab)
    lab.set("openai", error_rate=1)
    OPENAI.call(lab)
    OPENAI.call(lab, model="no-such-model")
    report = lab.get("/lab/requests?last=2")
    counted = report["providers"]["openai"]
    assert (counted["calls"], counted["errors"], counted["inProgress"]) == (3, 2, 0)
    assert [seen["outcome"] for seen in report["recent"]] == ["server_error", "unknown_model"]
    assert counted["completionTokens"] > 0
    assert counted["costUsd"] > 0
    assert report["providers"]["gemini"]["calls"] == 0


def test_the_cost_header_is_tokens_times_the_profiles_prices(lab: RunningLab) -> None:
    lab.set("deepseek", input_price=1000, output_price=2000)
    answer = DEEPSEEK.call(lab)
    usage = answer.json()["usage"]
    expected_usd = (usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 2000) / 1e6
    assert float(answer.headers["x-lab-cost"]) == pytest.approx(expected_usd)
    assert answer.headers["x-lab-simulated"] == "1"


def test_an_answer_is_asked_for_at_the_quality_of_its_prompt() -> None:
    prompt = load_prompts(CONFIG)[0]
    with running_lab(quality_said) as lab:
        lab.set("openai", quality=0.5, prompt_quality={prompt.id: 0.1})
        asked = [{"role": "user", "content": text} for text in (prompt.text, "Something else")]
        texts = [
            OPENAI.call(lab, messages=[one], temperature=0.2).json()["choices"][0]["message"]["content"]
            for one in asked
        ]
    assert texts == ["0.1 0.2", "0.5 0.2"]


def test_a_provider_that_a_user_adds_is_served_under_its_name() -> None:
    added = Provider("my.llama", WireFormat.OPENAI, "http://127.0.0.1:11434/v1", None, ("llama3.2",))
    with running_lab(providers=[added]) as lab:
        body = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}], "unheard_of": 1}
        # it needs no key, and as an imitator of OpenAI it ignores keys that it does not know
        assert requests.post(f"{lab.url}/my.llama/chat/completions", json=body, timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "part"),
    [
        ("PATCH", "/lab/profiles/nobody", {"latency": 1}, 404, "deepseek, gemini, anthropic, openai"),
        ("PATCH", "/lab/profiles/openai", [1], 400, "object"),
        ("POST", "/lab/profile/fantastic", {}, 400, "standard, realistic"),
        ("GET", "/lab/requests?last=x", None, 400, "last"),
        ("GET", "/lab/trace", None, 409, "no trace"),
        ("POST", "/lab/trace/advance", {"to": "next"}, 409, "no trace"),
        ("POST", "/nobody/chat/completions", {}, 404, "no such provider"),
        ("GET", "/lab", None, 404, "Not Found"),
    ],
)
def test_what_cannot_be_is_said_clearly(
    lab: RunningLab, method: str, path: str, body: object, status: int, part: str
) -> None:
    answer = requests.request(method, lab.url + path, json=body, timeout=5)
    assert answer.status_code == status
    assert answer.json()["success"] is False
    assert part in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4010", "127.0.0.1.evil.example", "", "localhost.evil"])
@pytest.mark.parametrize("path", ["/lab/profiles", "/healthz", "/openai/models"])
def test_another_host_name_than_loopback_is_refused(lab: RunningLab, host: str, path: str) -> None:
    assert requests.get(lab.url + path, headers={"Host": host}, timeout=5).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4010", "127.0.0.1:1", "[::1]:4010"])
def test_every_loopback_name_is_welcome(lab: RunningLab, host: str) -> None:
    assert requests.get(f"{lab.url}/healthz", headers={"Host": host}, timeout=5).status_code == 200


def test_beyond_loopback_it_answers_under_the_name_its_network_gives_it() -> None:
    with running_lab(loopback=False) as lab:
        assert requests.get(f"{lab.url}/healthz", headers={"Host": "lab:4010"}, timeout=5).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_page_in_a_browser_cannot_change_anything(lab: RunningLab, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = requests.patch(f"{lab.url}/lab/profiles/openai", data=b'{"latency": 9}', headers=headers, timeout=5)
    assert answer.status_code == 415
    assert lab.get("/lab/profiles")["providers"]["openai"]["latency"] == 0
