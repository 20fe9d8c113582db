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
def test_a_field_of_any_name_is_named(client: OpenAI, stream: bool) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=ASK, stream=stream, extra_body={"a\nb": 1, "ключ": 2}
    )

    assert dropped(raw) == [r"a\nb", r"\u043a\u043b\u044e\u0447"]


@pytest.mark.parametrize(("header", "why"), [("strict", "unknown field 'top_k'"), ("loose", "strict, drop, pass")])
def test_strict_refuses_by_name(client: OpenAI, header: str, why: str) -> None:
    with pytest.raises(openai.BadRequestError, match=why):
        client.chat.completions.create(
            model="auto", messages=ASK, extra_body={"top_k": 5}, extra_headers={"X-Tooloo-Parameters": header}
        )


def test_what_no_answer_has_a_place_for_is_named_and_not_paid_for(client: OpenAI, api: Served) -> None:
    raw = client.chat.completions.with_raw_response.create(model="deepseek", messages=ASK, n=2, logprobs=True)

    assert set(dropped(raw)) == {"n", "logprobs"}
    assert not {"n", "logprobs"} & set(api.lab.last()["parameters"])


def test_the_older_form_of_tools_goes_to_who_is_named_and_is_never_dropped(client: OpenAI, api: Served) -> None:
    client.chat.completions.create(model="openai", messages=ASK, functions=[{"name": "f"}])
    assert api.lab.last()["parameters"]["functions"] == [{"name": "f"}]

    with pytest.raises(openai.BadRequestError, match="send `tools`"):
        client.chat.completions.create(model="auto", messages=ASK, functions=[{"name": "f"}])


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

    with pytest.raises(openai.BadRequestError, match="this model has no n"):
        client.chat.completions.create(**ask, n=2)


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
