"""Fields that we have no word for, and what becomes of them: strict, drop or pass; and require_parameters."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.front import Served

ASK: list[Any] = [{"role": "user", "content": "Hello"}]


def tool(name: str) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def dropped(raw: Any) -> list[str]:
    return [name for name in raw.headers.get("x-tooloo-dropped-parameters", "").split(",") if name]


@pytest.mark.parametrize(
    ("model", "header", "sent", "named"),
    [
        ("auto", None, False, True),
        ("deepseek", None, True, False),
        ("anthropic", None, False, True),
        ("deepseek", "drop", False, True),
        ("auto", "pass", True, False),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_field_is_passed_on_or_left_out_and_named(
    client: OpenAI, api: Served, model: str, header: str | None, sent: bool, named: bool, stream: bool
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model,
        messages=ASK,
        stream=stream,
        extra_body={"verbosity": "low", "top_k": 5},
        extra_headers={} if header is None else {"X-Tooloo-Parameters": header},
    )

    seen = api.lab.last()["parameters"]
    assert ({"verbosity", "top_k"} <= set(seen)) is sent
    assert ({"verbosity", "top_k"} == set(dropped(raw))) is named


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "told"), [("a\nb", "a%0Ab"), ("€", "%E2%82%AC")])
def test_a_field_of_any_name_is_named(client: OpenAI, name: str, told: str, stream: bool) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=ASK, stream=stream, extra_body={name: 1}
    )

    assert dropped(raw) == [told]


@pytest.mark.parametrize(("header", "why"), [("strict", "unknown field 'top_k'"), ("loose", "strict, drop, pass")])
def test_strict_refuses_by_name(client: OpenAI, header: str, why: str) -> None:
    with pytest.raises(openai.BadRequestError, match=why):
        client.chat.completions.create(
            model="auto", messages=ASK, extra_body={"top_k": 5}, extra_headers={"X-Tooloo-Parameters": header}
        )


@pytest.mark.parametrize(
    ("model", "lacking"),
    [
        ("openai", set()),
        ("deepseek", {"n"}),
        ("anthropic", {"n", "logprobs", "top_logprobs"}),
        ("gemini", {"n", "logprobs", "top_logprobs"}),
    ],
)
def test_several_answers_and_log_probabilities_come_from_who_has_them(
    client: OpenAI, api: Served, model: str, lacking: set[str]
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=ASK, n=2, logprobs=True, top_logprobs=1
    )

    assert set(dropped(raw)) == lacking
    assert {"n", "logprobs", "top_logprobs"} - set(api.lab.last()["parameters"]) == lacking
    choices = raw.parse().choices
    assert [choice.index for choice in choices] == ([0] if "n" in lacking else [0, 1])
    for choice in choices:
        tokens = (choice.logprobs and choice.logprobs.content) or []
        assert "".join(each.token for each in tokens) == ("" if "logprobs" in lacking else choice.message.content)


def test_they_are_streamed_too(client: OpenAI) -> None:
    said: dict[int, list[str]] = {0: [], 1: []}
    likely: dict[int, list[str]] = {0: [], 1: []}
    ends: list[tuple[int, str]] = []
    with client.chat.completions.create(model="openai", messages=ASK, n=2, logprobs=True, stream=True) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                said[choice.index].append(choice.delta.content or "")
                likely[choice.index] += [each.token for each in (choice.logprobs and choice.logprobs.content) or []]
                if choice.finish_reason:
                    ends.append((choice.index, choice.finish_reason))
    assert "".join(said[0]) == "".join(said[1]) != ""
    assert "".join(likely[0]) == "".join(likely[1]) == "".join(said[0])
    assert sorted(ends) == [(0, "stop"), (1, "stop")]


def test_who_says_pass_gets_it_sent_to_every_server_of_the_format(client: OpenAI, api: Served) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="deepseek", messages=ASK, n=2, extra_headers={"X-Tooloo-Parameters": "pass"}
    )
    assert (dropped(raw), len(raw.parse().choices)) == ([], 2)


def test_strict_goes_only_to_who_has_it(client: OpenAI) -> None:
    strict = {"X-Tooloo-Parameters": "strict"}
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=ASK, n=2, extra_headers=strict)
    assert raw.headers["x-tooloo-target"].startswith("openai/")
    with pytest.raises(openai.BadRequestError, match="has no n"):
        client.chat.completions.create(model="deepseek", messages=ASK, n=2, extra_headers=strict)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"n": 0}, "n"),
        ({"n": "2"}, "n"),
        ({"logprobs": 5}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 99}, "top_logprobs"),
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"functions": [{"name": "f"}], "tools": [tool("f")]}, "functions"),
    ],
)
def test_a_value_that_cannot_be_is_named(client: OpenAI, body: dict[str, Any], field: str) -> None:
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model="auto", messages=ASK, extra_body=body)
    assert failure.value.param == field


@pytest.mark.parametrize("model", ["openai", "deepseek", "anthropic", "gemini"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_older_form_of_tools_is_understood_by_all(client: OpenAI, api: Served, model: str, stream: bool) -> None:
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    earlier: list[Any] = [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "done"},
        *ASK,
    ]
    api.lab.set(model, tool_rate=1)
    try:
        answer: Any = client.chat.completions.create(
            model=model, messages=ASK + earlier, functions=[function], function_call={"name": "f"}, stream=stream
        )
        chunks = list(answer) if stream else []
    finally:
        api.lab.set(model, tool_rate=0)
    if stream:
        deltas = [choice.delta.function_call for chunk in chunks for choice in chunk.choices]
        name = "".join((delta and delta.name) or "" for delta in deltas)
        finish = [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1]
        assert not any(choice.delta.tool_calls for chunk in chunks for choice in chunk.choices)
    else:
        message = answer.choices[0].message
        name, finish = message.function_call.name, answer.choices[0].finish_reason
        assert message.tool_calls is None
    assert (name, finish) == ("f", "function_call")


def test_the_older_form_goes_as_it_is_to_who_has_it(client: OpenAI, api: Served) -> None:
    client.chat.completions.create(model="openai", messages=ASK, functions=[{"name": "f"}])
    assert api.lab.last()["parameters"]["functions"] == [{"name": "f"}]
    assert not {"tools", "parallel_tool_calls"} & set(api.lab.last()["parameters"])


def test_a_result_of_a_function_that_nobody_called_is_refused(client: OpenAI) -> None:
    turns: list[Any] = [{"role": "function", "name": "f", "content": "done"}]
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model="auto", messages=ASK + turns)
    assert failure.value.param == "messages.1.name"


@pytest.mark.parametrize("model", ["deepseek", "gemini", "anthropic", "openai"])
def test_allowed_tools_are_the_only_ones_offered(client: OpenAI, api: Served, model: str) -> None:
    allowed = [{"type": "function", "function": {"name": "b"}}]
    choice: Any = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": allowed}}
    api.lab.set(model, tool_rate=1)
    try:
        answer = client.chat.completions.create(
            model=model, messages=ASK, tools=[tool("a"), tool("b")], tool_choice=choice
        )
    finally:
        api.lab.set(model, tool_rate=0)

    assert [call.function.name for call in answer.choices[0].message.tool_calls or ()] == ["b"]  # type: ignore[union-attr]  # functions were offered


def test_required_parameters_go_only_to_who_has_all(client: OpenAI, api: Served) -> None:
    ask: dict[str, Any] = {"model": "auto", "messages": ASK, "extra_body": {"require_parameters": True}}
    raw = client.chat.completions.with_raw_response.create(**ask, frequency_penalty=0.5)
    assert dropped(raw) == []

    raw = client.chat.completions.with_raw_response.create(**ask, n=2)
    assert raw.headers["x-tooloo-target"].startswith("openai/")
    with pytest.raises(openai.BadRequestError, match="this model has no verbosity"):
        client.chat.completions.create(**ask, verbosity="low")


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("messages", [{"role": "user", "content": [{"type": "thing"}]}], "messages.0.content.0.type"),
        ("stop", ["a", "b", "c", "d", "e"], "stop"),
        ("tool_choice", {"type": "thing"}, "tool_choice.type"),
        ("response_format", {"type": "thing"}, "response_format.type"),
        ("temperature", "hot", "temperature"),
    ],
)
def test_a_wrong_value_is_named_as_it_was_sent(client: OpenAI, field: str, value: Any, param: str) -> None:
    body: dict[str, Any] = {"model": "auto", "messages": ASK, field: value}
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(**body)
    assert failure.value.param == param
