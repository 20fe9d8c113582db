"""The lab beside recordings of the real APIs: it says nothing that they do not say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.calls import ALL, ANTHROPIC, DEEPSEEK, GEMINI, OPENAI, Api
from tests.support.lab import RunningLab

CASES = Path(__file__).resolve().parents[2] / ".." / "shared" / "wire" / "cases.json"

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the recorded wire cases are not on this machine")


def cases() -> list[dict[str, Any]]:
    document = json.loads(CASES.read_text(encoding="utf-8"))
    return list(document["cases"] if isinstance(document, dict) else document)


def key_paths(value: Any, path: str = "") -> Iterator[str]:
    """Every key in a JSON value, as a path; arguments of tools are the caller's own and are left out."""
    if isinstance(value, list):
        for item in value:
            yield from key_paths(item, path + "[]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"{path}.{name}"
            if name not in ("args", "input"):
                yield from key_paths(item, f"{path}.{name}")


def documents(body: str | dict[str, Any]) -> list[Any]:
    if isinstance(body, dict):
        return [body]
    lines = [line.removeprefix("data: ") for line in body.replace("\r\n", "\n").split("\n")]
    if body.startswith("{"):
        return [json.loads(body)]
    return [json.loads(line) for line in lines if line.startswith("{")]


def recorded_paths(api: Api, *, stream: bool) -> set[str]:
    return {
        path
        for case in cases()
        if case["provider"] == api.name
        and case["response"]["status"] == 200
        and bool(case["response"].get("sse")) == stream
        for document in documents("".join(case["response"].get("sse") or ()) or case["response"]["body"])
        for path in key_paths(document)
    }


#: how to make each provider call a tool
TOOL_CALLS: dict[str, dict[str, Any]] = {
    **{
        name: {
            "tools": [{"type": "function", "function": {"name": "now"}}],
            "tool_choice": "required",
        }
        for name in ("openai", "deepseek")
    },
    "anthropic": {"tools": [{"name": "now", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}},
    "gemini": {
        "tools": [{"functionDeclarations": [{"name": "now"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    },
}

#: of these no stream with a tool call was recorded: DeepSeek follows OpenAI in it, Gemini its own plain answer
WITHOUT_TOOL_STREAM = {"deepseek": OPENAI, "gemini": GEMINI}


@pytest.mark.parametrize("api", ALL, ids=lambda api: api.name)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("tool", [False, True], ids=["text", "tool"])
def test_an_answer_has_no_key_that_the_real_one_has_not(lab: RunningLab, api: Api, stream: bool, tool: bool) -> None:
    asked: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream and api in (OPENAI, DEEPSEEK) else {}
    answer = api.call(lab, stream=stream, **asked, **(TOOL_CALLS[api.name] if tool else {}))
    ours = {path for document in documents(answer.text) for path in key_paths(document)}
    theirs = recorded_paths(api, stream=stream)
    if stream and tool and api.name in WITHOUT_TOOL_STREAM:
        theirs |= recorded_paths(WITHOUT_TOOL_STREAM[api.name], stream=api is DEEPSEEK)
    assert answer.status_code == 200
    assert ours - theirs == set()


@pytest.mark.parametrize(
    ("case_id", "api", "figures", "change"),
    [
        ("openai-401", OPENAI, {"error_kind": "bad_key"}, {}),
        ("openai-404-model", OPENAI, None, {"model": "this-model-does-not-exist"}),
        ("deepseek-401", DEEPSEEK, {"error_kind": "bad_key"}, {}),
        ("deepseek-402", DEEPSEEK, {"error_kind": "out_of_credit"}, {}),
        ("anthropic-401", ANTHROPIC, {"error_kind": "bad_key"}, {}),
        ("anthropic-404-model", ANTHROPIC, None, {"model": "there-is-no-such-model"}),
        ("anthropic-529", ANTHROPIC, {"error_kind": "overloaded"}, {}),
        ("gemini-429-retryinfo", GEMINI, {"error_kind": "rate_limited"}, {}),
        ("gemini-503", GEMINI, {"error_kind": "overloaded"}, {}),
    ],
)
def test_an_error_says_what_the_recorded_one_says(
    lab: RunningLab, case_id: str, api: Api, figures: dict[str, Any] | None, change: dict[str, Any]
) -> None:
    recorded = next(case for case in cases() if case["id"] == case_id)["response"]
    if figures is not None:
        lab.set(api.name, error_rate=1, **figures)
    answer = api.call(lab, **change)
    (theirs,), ours = documents(recorded["body"]), answer.json()
    assert answer.status_code == recorded["status"]
    for key in ("type", "code", "status", "param"):
        assert ours["error"].get(key) == theirs["error"].get(key), key
    assert set(key_paths(ours)) <= set(key_paths(theirs))
