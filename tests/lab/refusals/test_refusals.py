"""Every rule: what it refuses, in whose words, and what it lets pass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from app.domain.catalog import Provider, WireFormat
from app.lab.refusals.kinds import kind_of
from app.lab.refusals.rule import Kind
from app.lab.refusals.table import RULES
from tests.lab.refusals import chat_cases, claude_cases, gemini_cases
from tests.lab.refusals.case import Case
from tests.support.lab import RunningLab, running_lab

CASES = [*chat_cases.CASES, *claude_cases.CASES, *gemini_cases.CASES]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.server}")
MODELS = {
    Kind.OPENAI: "gpt-4.1-mini",
    Kind.DEEPSEEK: "deepseek-chat",
    Kind.MISTRAL: "mistral-large-latest",
    Kind.KIMI: "kimi-latest",
    Kind.GROQ: "llama-3.3-70b-versatile",
    Kind.GEMINI_OPENAI: "gemini-2.5-flash",
    Kind.OPENROUTER: "openai/gpt-4.1-mini",
    Kind.XAI: "grok-4-0709",
    Kind.COMPATIBLE: "llama3.2",
    Kind.ANTHROPIC: "claude-haiku-4-5",
    Kind.GEMINI: "gemini-2.5-flash",
}
FORMATS = {Kind.ANTHROPIC: WireFormat.ANTHROPIC, Kind.GEMINI: WireFormat.GEMINI}


def provider(kind: Kind) -> Provider:
    models = {MODELS[kind]: None, **{case.model: None for case in CASES if case.server == kind and case.model}}
    return Provider(
        name=kind.value,
        format=FORMATS.get(kind, WireFormat.OPENAI),
        base_url="https://api.example.com",
        key_env=None,
        models=tuple(models),
        priority=1,
    )


@pytest.fixture(scope="module")
def strict_lab() -> Iterator[RunningLab]:
    with running_lab(providers=[provider(kind) for kind in Kind]) as running:
        yield running


@pytest.fixture
def lab(strict_lab: RunningLab) -> Iterator[RunningLab]:
    strict_lab.touched.clear()
    yield strict_lab
    for name in tuple(strict_lab.touched):
        strict_lab.set(name, refusals=dict.fromkeys(("*", *RULES)))


def send(lab: RunningLab, server: str, body: Mapping[str, Any], model: str = "") -> requests.Response:
    kind = Kind(server)
    model = model or MODELS[kind]
    headers = {"Content-Type": "application/json", "anthropic-version": "2023-06-01"}
    path, whole = "chat/completions", {"model": model, **chat_cases.BODY, **body}
    if kind is Kind.ANTHROPIC:
        path, whole = "v1/messages", {"model": model, **claude_cases.BODY, **body}
    elif kind is Kind.GEMINI:
        path, whole = f"v1beta/models/{model}:generateContent", {**gemini_cases.BODY, **body}
    return requests.post(f"{lab.url}/{server}/{path}", data=json.dumps(whole), headers=headers, timeout=10)


@EACH
def test_the_wrong_request_is_refused_and_the_right_one_is_not(lab: RunningLab, case: Case) -> None:
    rule = RULES[case.rule]
    assert Kind(case.server) in rule.kinds
    only: dict[str, bool] = {"*": False, case.rule: True}
    lab.set(case.server, refusals=only)
    refused = send(lab, case.server, case.refused, case.model)
    assert (refused.status_code, lab.last()["refused"]["rule"]) == (rule.status, case.rule)
    assert "{" not in lab.last()["refused"]["message"].replace("{1,64}", "").replace("{1,128}", "")
    # the right one passes every rule
    lab.set(case.server, refusals=dict.fromkeys(only))
    accepted = send(lab, case.server, case.accepted, case.model)
    assert accepted.status_code == 200, accepted.text
    assert lab.last()["refused"] is None


@EACH
def test_a_kinder_server_takes_it(lab: RunningLab, case: Case) -> None:
    if RULES[case.rule].by_default:
        assert send(lab, case.server, case.refused, case.model).status_code in (400, 422)
    lab.set(case.server, refusals={"*": False})
    assert send(lab, case.server, case.refused, case.model).status_code == 200


def test_every_rule_has_its_case() -> None:
    assert set(RULES) == {case.rule for case in CASES}


def test_every_rule_says_where_it_is_known_from() -> None:
    assert [rule.id for rule in RULES.values() if not rule.source.where or not rule.about] == []


@pytest.mark.parametrize(
    ("server", "body", "error"),
    [
        (
            "openai",
            {"max_tokens": 32_769},
            {
                "error": {
                    "message": "max_tokens is too large: 32769. This model supports at most 32768 completion tokens, "
                    "whereas you provided 32769.",
                    "type": "invalid_request_error",
                    "param": "max_tokens",
                    "code": None,
                }
            },
        ),
        (
            "deepseek",
            chat_cases.said({"role": "developer", "content": "x"}),
            {
                "error": {
                    "message": "Failed to deserialize the JSON body into the target type: messages[0].role: unknown "
                    "variant `developer`, expected one of `system`, `user`, `assistant`, `tool`",
                    "type": "invalid_request_error",
                    "param": "messages[0].role",
                    "code": "invalid_request_error",
                }
            },
        ),
        (
            "mistral",
            chat_cases.LOOP,
            {
                "object": "error",
                "message": "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.",
                "type": "invalid_function_call",
                "param": None,
                "code": "3280",
                "raw_status_code": 400,
            },
        ),
        (
            "mistral",
            chat_cases.said({**chat_cases.USER, "name": "anna"}),
            {
                "object": "error",
                "message": {
                    "detail": [
                        {
                            "type": "extra_forbidden",
                            "loc": ["body", "messages", 0, "name"],
                            "msg": "Extra inputs are not permitted",
                        }
                    ]
                },
                "type": "invalid_request_error",
                "param": None,
                "code": None,
                "raw_status_code": 422,
            },
        ),
        (
            "kimi",
            chat_cases.said(chat_cases.USER, chat_cases.answers(""), chat_cases.USER),
            {
                "error": {
                    "message": "Invalid request: the message at position 1 with role 'assistant' must not be empty",
                    "type": "invalid_request_error",
                }
            },
        ),
        (
            "groq",
            chat_cases.said({"role": "system", "content": [chat_cases.TEXT]}),
            {
                "error": {
                    "message": "'messages.0' : for 'role:system' the following must be satisfied[('messages.0.content' "
                    ": value must be a string)]",
                    "type": "invalid_request_error",
                }
            },
        ),
        (
            "openrouter",
            chat_cases.said(chat_cases.USER, chat_cases.answers(None), chat_cases.USER),
            {"error": {"message": "Invalid value for 'content': expected a string, got null.", "code": 400}},
        ),
        (
            "anthropic",
            claude_cases.said(claude_cases.turn("user", {"type": "text", "text": ""})),
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "messages: text content blocks must be non-empty",
                },
            },
        ),
        (
            "gemini",
            gemini_cases.said(gemini_cases.turn("user", gemini_cases.response())),
            {
                "error": {
                    "code": 400,
                    "message": "Please ensure that function response turn comes immediately after a function call "
                    "turn.",
                    "status": "INVALID_ARGUMENT",
                }
            },
        ),
    ],
)
def test_a_refusal_has_its_vendors_shape(lab: RunningLab, server: str, body: dict[str, Any], error: object) -> None:
    assert send(lab, server, body).json() == error


def test_geminis_other_endpoint_answers_with_a_list(lab: RunningLab) -> None:
    answer = send(lab, "gemini-openai", chat_cases.LOOP, "gemini-3-pro-preview").json()
    assert (answer[0]["error"]["code"], answer[0]["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_refused_stream_is_refused_as_a_plain_call(lab: RunningLab) -> None:
    answer = send(lab, "openai", {"stream": True, "tools": []})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json; charset=utf-8")


def test_wrong_requests_are_counted_and_kept_apart(lab: RunningLab) -> None:
    before = lab.get("/lab/requests")["providers"]["groq"]["refused"]
    send(lab, "groq", {"tools": [chat_cases.tool("a b")]})
    send(lab, "groq", {})
    report = lab.get("/lab/requests?last=0")
    assert report["providers"]["groq"]["refused"] == before + 1
    assert report["refused"][-1]["refused"] == {
        "rule": "chat-tool-name",
        "field": "tools.0.function.name",
        "message": "Invalid 'tools.0.function.name': string does not match pattern. Expected a string that matches "
        "the pattern '^[a-zA-Z0-9_-]{1,64}$'.",
    }


def test_a_failure_of_the_provider_is_no_wrong_request(lab: RunningLab) -> None:
    lab.set("groq", error_rate=1, error_kind="bad_request")
    send(lab, "groq", {})
    lab.set("groq", error_rate=0)
    assert lab.last()["refused"] is None


def test_the_rules_and_who_has_them_can_be_looked_up(lab: RunningLab) -> None:
    lab.set("openai", refusals={"openai-no-tools": False, "openai-unverified": True})
    found = lab.get("/lab/refusals")
    (rule,) = [each for each in found["rules"] if each["id"] == "openai-no-tools"]
    assert (rule["servers"], rule["documented"], rule["byDefault"]) == (["openai"], True, True)
    assert found["providers"]["openai"]["kind"] == "openai"
    on = set(found["providers"]["openai"]["on"])
    assert "openai-unverified" in on
    assert "openai-no-tools" not in on
    assert "openai-unverified" not in set(found["providers"]["compatible"]["on"])


def test_a_rule_that_is_not_there_cannot_be_switched(lab: RunningLab) -> None:
    answer = requests.patch(f"{lab.url}/lab/profiles/openai", json={"refusals": {"no-such": False}}, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "refusals.no-such"


def test_what_gemini_3_wants_back_it_has_given(lab: RunningLab) -> None:
    lab.set("gemini", tool_rate=1)
    asked = {**gemini_cases.offered(), **gemini_cases.BODY}
    answer = send(lab, "gemini", asked, "gemini-3-pro-preview").json()["candidates"][0]["content"]
    assert answer["parts"][0]["functionCall"]["id"]
    given = gemini_cases.response(id=answer["parts"][0]["functionCall"]["id"])
    after = gemini_cases.said(gemini_cases.USER, answer, gemini_cases.turn("user", given))
    assert send(lab, "gemini", asked | after, "gemini-3-pro-preview").status_code == 200
    del answer["parts"][0]["thoughtSignature"]
    assert send(lab, "gemini", asked | after, "gemini-3-pro-preview").status_code == 400
    lab.set("gemini", tool_rate=0)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_geminis_other_endpoint_signs_its_calls(lab: RunningLab, stream: bool) -> None:
    lab.set("gemini-openai", tool_rate=1)
    answer = send(lab, "gemini-openai", {"tools": [chat_cases.tool()], "stream": stream}, "gemini-3-pro-preview")
    lab.set("gemini-openai", tool_rate=0)
    assert '"extra_content":{"google":{"thought_signature":"' in answer.text


def test_a_thought_of_claude_is_taken_back_as_it_was(lab: RunningLab) -> None:
    lab.set("anthropic", reasoning_tokens=20)
    answer = send(lab, "anthropic", {}).json()["content"]
    lab.set("anthropic", reasoning_tokens=0)
    turns = [claude_cases.USER, claude_cases.turn("assistant", *answer), claude_cases.USER]
    assert send(lab, "anthropic", claude_cases.said(*turns)).status_code == 200
    answer[0]["thinking"] += "!"
    assert send(lab, "anthropic", claude_cases.said(*turns)).status_code == 400


@pytest.mark.parametrize(
    ("name", "url", "kind"),
    [
        ("openai", "http://127.0.0.1:4010/openai", Kind.OPENAI),
        ("moonshot", "http://127.0.0.1:4010/moonshot", Kind.KIMI),
        ("mine", "https://api.groq.com/openai/v1", Kind.GROQ),
        ("mine", "https://generativelanguage.googleapis.com/v1beta/openai", Kind.GEMINI_OPENAI),
        ("mine", "https://openrouter.ai/api/v1", Kind.OPENROUTER),
        ("mine", "https://api.x.ai/v1", Kind.XAI),
        ("mine", "http://127.0.0.1:11434/v1", Kind.COMPATIBLE),
    ],
)
def test_a_server_is_known_by_its_name_or_its_host(name: str, url: str, kind: Kind) -> None:
    block = Provider(name=name, format=WireFormat.OPENAI, base_url=url, key_env=None, models=("m",), priority=1)
    assert kind_of(block) is kind
