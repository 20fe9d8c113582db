"""Every failure in the words of its provider."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from app.domain.catalog import Provider, WireFormat
from app.lab.server import MAX_BODY
from tests.lab.calls import ALL, ANTHROPIC, DEEPSEEK, GEMINI, OPENAI, Api
from tests.support.lab import SENTENCE, RunningLab, running_lab
from tests.support.waiting import wait_until

EACH = pytest.mark.parametrize("api", ALL, ids=lambda api: api.name)


def said(body: dict[str, Any]) -> Any:
    """What a client would branch on: Gemini's status, else type and code."""
    error = body["error"]
    return error["status"] if "status" in error else (error["type"], error.get("code"))


@pytest.mark.parametrize(
    ("api", "kind", "status", "words"),
    [
        (OPENAI, "model_unknown", 404, ("invalid_request_error", "model_not_found")),
        (OPENAI, "context_too_long", 400, ("invalid_request_error", "context_length_exceeded")),
        (OPENAI, "bad_request", 400, ("invalid_request_error", "invalid_value")),
        (OPENAI, "server_error", 500, ("server_error", None)),
        (OPENAI, "rate_limited", 429, ("requests", "rate_limit_exceeded")),
        (OPENAI, "overloaded", 503, ("server_error", None)),
        # out of credit has the status of a rate limit, and only its code tells them apart
        (OPENAI, "out_of_credit", 429, ("insufficient_quota", "insufficient_quota")),
        (OPENAI, "bad_key", 401, ("invalid_request_error", "invalid_api_key")),
        (DEEPSEEK, "model_unknown", 400, ("invalid_request_error", "invalid_request_error")),
        (DEEPSEEK, "bad_request", 422, ("invalid_request_error", "invalid_request_error")),
        (DEEPSEEK, "server_error", 500, ("server_error", "server_error")),
        (DEEPSEEK, "rate_limited", 429, ("rate_limit_error", "rate_limit_error")),
        (DEEPSEEK, "overloaded", 503, ("service_unavailable_error", "service_unavailable_error")),
        (DEEPSEEK, "out_of_credit", 402, ("unknown_error", "invalid_request_error")),
        (DEEPSEEK, "bad_key", 401, ("authentication_error", "invalid_request_error")),
        (ANTHROPIC, "model_unknown", 404, ("not_found_error", None)),
        (ANTHROPIC, "context_too_long", 400, ("invalid_request_error", None)),
        (ANTHROPIC, "server_error", 500, ("api_error", None)),
        (ANTHROPIC, "rate_limited", 429, ("rate_limit_error", None)),
        (ANTHROPIC, "overloaded", 529, ("overloaded_error", None)),
        # Anthropic has no word of its own for it
        (ANTHROPIC, "out_of_credit", 400, ("invalid_request_error", None)),
        (ANTHROPIC, "bad_key", 401, ("authentication_error", None)),
        (GEMINI, "model_unknown", 404, "NOT_FOUND"),
        (GEMINI, "context_too_long", 400, "INVALID_ARGUMENT"),
        (GEMINI, "server_error", 500, "INTERNAL"),
        (GEMINI, "rate_limited", 429, "RESOURCE_EXHAUSTED"),
        (GEMINI, "overloaded", 503, "UNAVAILABLE"),
        (GEMINI, "out_of_credit", 429, "RESOURCE_EXHAUSTED"),
        # Gemini answers 400 for a bad key
        (GEMINI, "bad_key", 400, "INVALID_ARGUMENT"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_failure_has_the_providers_status_and_words(
    lab: RunningLab, api: Api, kind: str, status: int, words: object, stream: bool
) -> None:
    lab.set(api.name, error_rate=1, error_kind=kind)
    answer = api.call(lab, stream=stream)
    assert (answer.status_code, said(answer.json())) == (status, words)
    assert answer.headers["x-lab-cost"] == "0"
    assert answer.headers["x-lab-simulated"] == "1"


@pytest.mark.parametrize("api", [OPENAI, DEEPSEEK, ANTHROPIC], ids=lambda api: api.name)
def test_a_rate_limit_says_in_a_header_when_to_come_back(lab: RunningLab, api: Api) -> None:
    lab.set(api.name, error_rate=1, error_kind="rate_limited")
    assert api.call(lab).headers["Retry-After"] == "2"


def test_gemini_says_in_the_body_when_to_come_back(lab: RunningLab) -> None:
    lab.set("gemini", error_rate=1, error_kind="rate_limited")
    answer = GEMINI.call(lab)
    details = {detail["@type"].rpartition(".")[2]: detail for detail in answer.json()["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == "2s"
    assert "Retry-After" not in answer.headers


def test_gemini_out_of_credit_names_no_time_to_come_back(lab: RunningLab) -> None:
    lab.set("gemini", error_rate=1, error_kind="out_of_credit")
    assert "RetryInfo" not in GEMINI.call(lab).text


def test_deepseek_sends_errors_as_octets(lab: RunningLab) -> None:
    lab.set("deepseek", error_rate=1)
    assert DEEPSEEK.call(lab).headers["Content-Type"] == "application/octet-stream"


@EACH
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_cut_answer_breaks_off_in_the_middle(lab: RunningLab, api: Api, stream: bool) -> None:
    lab.set(api.name, error_rate=1, error_kind="cut", tokens_per_s=1000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match=r"IncompleteRead|ended prematurely"):
        api.call(lab, stream=stream)
    assert lab.last()["outcome"] == "cut"


@EACH
def test_a_timeout_never_answers(lab: RunningLab, api: Api) -> None:
    lab.set(api.name, error_rate=1, error_kind="timeout")
    url = f"{lab.url}/{api.name}/{api.path}"
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, json=dict(api.body), headers=dict(api.headers), timeout=0.2)
    # and it ends when the client goes
    wait_until(lambda: lab.get("/lab/requests")["providers"][api.name]["inProgress"] == 0)
    assert lab.last()["outcome"] == "timeout"


@pytest.mark.parametrize(
    ("api", "text"),
    [
        (OPENAI, lambda body: body["choices"][0]["message"]["content"]),
        (DEEPSEEK, lambda body: body["choices"][0]["message"]["content"]),
        (ANTHROPIC, lambda body: "".join(block["text"] for block in body["content"])),
        (GEMINI, lambda body: "".join(part["text"] for part in body["candidates"][0]["content"].get("parts", []))),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_empty_answer_is_200_without_text(lab: RunningLab, api: Api, text: Any) -> None:
    lab.set(api.name, error_rate=1, error_kind="empty")
    answer = api.call(lab)
    assert (answer.status_code, text(answer.json())) == (200, "")
    assert SENTENCE not in api.call(lab, stream=True).text


@EACH
def test_errors_come_as_often_as_the_rate_says(lab: RunningLab, api: Api) -> None:
    lab.set(api.name, error_rate=0.5)
    statuses = [api.call(lab).status_code for _ in range(60)]
    assert 10 <= statuses.count(200) <= 50


@pytest.mark.parametrize(
    ("api", "status", "words"),
    [
        (OPENAI, 401, ("invalid_request_error", None)),
        (DEEPSEEK, 401, ("authentication_error", "invalid_request_error")),
        (ANTHROPIC, 401, ("authentication_error", None)),
        (GEMINI, 403, "PERMISSION_DENIED"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_request_without_a_key_is_refused(lab: RunningLab, api: Api, status: int, words: object) -> None:
    answer = api.call(lab, headers={"anthropic-version": "2023-06-01"})
    assert (answer.status_code, said(answer.json())) == (status, words)


@pytest.mark.parametrize(
    ("api", "status", "words"),
    [
        (OPENAI, 404, ("invalid_request_error", "model_not_found")),
        # DeepSeek answers 400 for a model it does not have
        (DEEPSEEK, 400, ("invalid_request_error", "invalid_request_error")),
        (ANTHROPIC, 404, ("not_found_error", None)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_unknown_model_is_refused(lab: RunningLab, api: Api, status: int, words: object) -> None:
    answer = api.call(lab, model="no-such-model")
    assert (answer.status_code, said(answer.json())) == (status, words)


def test_gemini_does_not_find_an_unknown_model(lab: RunningLab) -> None:
    url = f"{lab.url}/gemini/v1beta/models/no-such-model:generateContent"
    answer = requests.post(url, json=dict(GEMINI.body), headers=dict(GEMINI.headers), timeout=5)
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert "models/no-such-model is not found" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("api", "change", "status", "part_of_message"),
    [
        (OPENAI, {"messages": None}, 400, "Missing required parameter: 'messages'"),
        (OPENAI, {"messages": []}, 400, "Invalid value for 'messages'"),
        (OPENAI, {"messages": [{"role": "usr", "content": "x"}]}, 400, "'messages[0].role'"),
        (OPENAI, {"temperature": 2.1}, 400, "'temperature'"),
        (OPENAI, {"max_tokens": 0}, 400, "'max_tokens'"),
        (OPENAI, {"max_tokens": "5"}, 400, "'max_tokens'"),
        (OPENAI, {"top_k": 3}, 400, "Unrecognized request argument supplied: top_k"),
        (OPENAI, {"tool_choice": "required"}, 400, "'tool_choice' is only allowed when 'tools' are specified"),
        (DEEPSEEK, {"messages": None}, 400, "missing field `messages`"),
        # Anthropic wants max_tokens, and refuses what it does not know
        (ANTHROPIC, {"max_tokens": None}, 400, "max_tokens: Field required"),
        (ANTHROPIC, {"frequency_penalty": 0.1}, 400, "frequency_penalty: Extra inputs are not permitted"),
        (ANTHROPIC, {"temperature": 1.5}, 400, "temperature"),
        (ANTHROPIC, {"messages": [{"role": "system", "content": "x"}]}, 400, "messages.0.role"),
        (GEMINI, {"contents": None}, 400, "contents is not specified"),
        (GEMINI, {"generationConfig": {"maxTokens": 5}}, 400, 'Unknown name "generationConfig.maxTokens"'),
        (GEMINI, {"generationConfig": {"temperature": 3}}, 400, "generationConfig.temperature"),
    ],
)
def test_a_wrong_body_is_refused_by_the_name_of_its_fault(
    lab: RunningLab, api: Api, change: dict[str, Any], status: int, part_of_message: str
) -> None:
    answer = api.call(lab, **change)
    assert answer.status_code == status
    assert part_of_message in answer.json()["error"]["message"]


@EACH
def test_a_body_that_is_not_json_is_refused(lab: RunningLab, api: Api) -> None:
    url = f"{lab.url}/{api.name}/{api.path}"
    answer = requests.post(url, data=b"{not json", headers=dict(api.headers), timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("model", "version", "sent", "refused"),
    [
        # the oldest take both samplers, then only one of them, the newest none
        ("claude-3-haiku-20240307", "2023-06-01", {"temperature": 0.7, "top_p": 0.9}, None),
        ("claude-sonnet-4-20250514", "2023-06-01", {"temperature": 0.7, "top_p": 0.9}, None),
        ("claude-opus-4-1-20250805", "2023-06-01", {"temperature": 0.7, "top_p": 0.9}, "cannot both be specified"),
        ("claude-haiku-4-5-20251001", "2023-06-01", {"temperature": 0.7, "top_p": 0.9}, "cannot both be specified"),
        ("claude-haiku-4-5-20251001", "2023-06-01", {"temperature": 0.7}, None),
        ("claude-opus-4-7", "2023-06-01", {"temperature": 0.7}, "`temperature` is deprecated for this model."),
        ("claude-sonnet-5", "2023-06-01", {"top_p": 0.9}, "`top_p` is deprecated for this model."),
        ("claude-sonnet-5", "2023-06-01", {}, None),
        # and the API's newer version none for any model
        ("claude-haiku-4-5", "2026-10-21", {"temperature": 0.7}, "temperature: Extra inputs are not permitted"),
        ("claude-haiku-4-5", "2026-10-21", {}, None),
    ],
)
def test_anthropic_takes_the_samplers_its_model_knows(
    model: str, version: str, sent: dict[str, Any], refused: str | None
) -> None:
    claude = Provider("anthropic", WireFormat.ANTHROPIC, "https://api.anthropic.com", "KEY", (model,))
    with running_lab(providers=[claude]) as lab:
        headers = {"x-api-key": "k", "anthropic-version": version}
        answer = ANTHROPIC.call(lab, model=model, headers=headers, **sent)
    assert answer.status_code == (400 if refused else 200)
    assert (refused or "") in answer.text


def test_anthropic_wants_to_know_the_version(lab: RunningLab) -> None:
    answer = ANTHROPIC.call(lab, headers={"x-api-key": "sk-ant-test"})
    assert answer.json()["error"]["message"] == "anthropic-version: header is required"


@EACH
def test_a_path_the_provider_has_not_is_not_found(lab: RunningLab, api: Api) -> None:
    answer = requests.post(f"{lab.url}/{api.name}/v9/nothing", headers=dict(api.headers), timeout=5)
    assert (answer.status_code, "error" in answer.json()) == (404, True)


@EACH
def test_a_body_beyond_the_limit_is_refused(lab: RunningLab, api: Api) -> None:
    url = f"{lab.url}/{api.name}/{api.path}"
    answer = requests.post(url, data=b" " * (MAX_BODY + 1), headers=dict(api.headers), timeout=20)
    assert answer.status_code == 413


@EACH
def test_no_error_repeats_the_key(lab: RunningLab, api: Api) -> None:
    lab.set(api.name, error_rate=1, error_kind="bad_key")
    secret = next(value for name, value in api.headers.items() if name != "anthropic-version").split()[-1]
    api.call(lab)
    assert secret not in api.call(lab).text
    assert secret not in str(lab.get("/lab/requests"))
