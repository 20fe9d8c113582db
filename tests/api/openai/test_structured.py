"""JSON schemas, one tool call at a time and efforts, with the official SDK in front of the lab's four providers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel, ConfigDict

from app.domain.catalog import Target
from tests.api.openai.test_chat_completions import ASK, WEATHER
from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE

EACH = pytest.mark.parametrize("model", PROVIDERS)


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    explanation: str
    number: int


class Reasoned(BaseModel):
    model_config = ConfigDict(extra="forbid")

    steps: list[Step]
    final: Step
    certain: bool | None


FITTING = Reasoned(
    steps=[Step(explanation="example", number=1)], final=Step(explanation="example", number=1), certain=True
)
CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}
#: where a schema is told as a tool, nothing holds the model to it
LOOSE = {"deepseek", "anthropic"}


def dropped(headers: Mapping[str, str]) -> list[str]:
    return headers.get("x-tooloo-dropped-parameters", "").split(",")


def tool(name: str) -> Any:
    return {"type": "function", "function": {**WEATHER["function"], "name": name, "strict": True}}


@EACH
def test_a_pydantic_model_is_parsed(client: OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.parse(model=model, messages=ASK, response_format=Reasoned)
    choice = raw.parse().choices[0]

    assert choice.message.parsed == FITTING
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
    assert ("json_schema.strict" in dropped(raw.headers)) is (model in LOOSE)


@EACH
def test_a_pydantic_model_is_streamed_piece_by_piece(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=ASK, response_format=Reasoned) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion().choices[0]

    assert final.message.parsed == FITTING
    assert (final.finish_reason, final.message.tool_calls) == ("stop", None)
    assert len([piece for piece in pieces if piece]) > 1


@EACH
def test_each_provider_is_told_the_schema_in_its_own_way(client: OpenAI, api: Served, model: str) -> None:
    client.chat.completions.parse(model=model, messages=ASK, response_format=Reasoned)
    sent = api.lab.last()["parameters"]

    told = {
        "openai": lambda: sent["response_format"]["json_schema"]["name"] == "Reasoned",
        "gemini": lambda: sent["generationConfig"]["responseJsonSchema"]["required"] == ["steps", "final", "certain"],
        "deepseek": lambda: sent["tool_choice"]["function"]["name"] == "Reasoned" and "response_format" not in sent,
        "anthropic": lambda: sent["tool_choice"]["name"] == "Reasoned",
    }
    assert told[model]()


def attempts_counted(api: Served) -> int:
    metrics = api.running.gateway.metrics.render(lambda: iter(()))
    lines = [line for line in metrics.decode().splitlines() if line.startswith("tooloo_attempts_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


@pytest.mark.parametrize("stream", [False, True])
def test_a_target_that_has_no_way_is_passed_over_uncalled_and_uncounted(
    client: OpenAI, api: Served, stream: bool
) -> None:
    """Neither DeepSeek, which comes first, nor Gemini before version 3 takes a schema beside tools; Claude does."""
    before, asked = attempts_counted(api), len(api.lab.get("/lab/requests?last=100")["recent"])
    with client.chat.completions.with_streaming_response.create(
        model="auto", messages=ASK, tools=[tool("get_weather")], stream=stream,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": CLOSED}},
    ) as raw:  # fmt: skip
        headers = raw.headers
        raw.read()

    assert headers["x-tooloo-target"].startswith("anthropic/")
    assert headers["x-tooloo-attempts"] == "1"
    assert attempts_counted(api) == before + 1
    assert len(api.lab.get("/lab/requests?last=100")["recent"]) == min(asked + 1, 100)
    breakers = api.running.gateway.breakers.value
    assert not any(breakers[target].failures for target in breakers if target.provider in ("deepseek", "gemini"))


def test_where_no_target_has_a_way_the_request_is_refused(client: OpenAI, api: Served) -> None:
    with pytest.raises(openai.BadRequestError, match="json_schema beside tools") as refusal:
        client.chat.completions.parse(
            model="deepseek", messages=ASK, tools=[tool("get_weather")], response_format=Reasoned
        )

    assert refusal.value.code == "unsupported"
    target = Target("deepseek", api.running.gateway.services.endpoints["deepseek"].provider.models[0])
    assert target not in api.running.gateway.breakers.value


@EACH
@pytest.mark.parametrize("stream", [False, True])
def test_one_tool_call_at_a_time(client: OpenAI, api: Served, model: str, stream: bool) -> None:
    given: Any = {"model": model, "messages": ASK, "tools": [tool("get_weather")], "tool_choice": "required"}
    if stream:
        with client.chat.completions.stream(**given, parallel_tool_calls=False) as streamed:
            final = streamed.get_final_completion()
    else:
        final = client.chat.completions.create(**given, parallel_tool_calls=False)

    (call,) = final.choices[0].message.tool_calls or ()
    assert "city" in json.loads(call.function.arguments)
    sent = api.lab.last()["parameters"]
    told = sent.get("parallel_tool_calls", sent.get("tool_choice", {}))
    expected: dict[str, Any] = {"anthropic": {"type": "any", "disable_parallel_tool_use": True}, "gemini": {}}
    assert told == expected.get(model, False)


@EACH
def test_an_effort_is_sent_or_named(client: OpenAI, api: Served, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK, reasoning_effort="low")

    assert raw.parse().choices[0].message.content == SENTENCE
    if model == "gemini":
        assert api.lab.last()["parameters"]["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 1024}
    # of the models in config/ only Gemini's has it
    assert ("reasoning_effort" in dropped(raw.headers)) is (model != "gemini")


def test_a_failure_under_a_schema_falls_over_to_another_way_of_telling_it(client: OpenAI, api: Served) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="empty")

    answer = client.chat.completions.parse(model="auto", messages=ASK, response_format=Reasoned)

    assert answer.choices[0].message.parsed == FITTING
    assert answer.model.startswith("gemini/")


def test_what_a_stream_does_not_send_is_named_before_its_first_chunk(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="deepseek", messages=ASK, stream=True, reasoning_effort="low", temperature=0.1
    )

    assert dropped(raw.headers) == ["reasoning_effort"]
    raw.parse().close()


def test_errors_say_how_many_calls_were_made(client: OpenAI, api: Served) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="bad_request")
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="deepseek", messages=ASK)
    assert refused.value.response.headers["x-tooloo-attempts"] == "1"

    wanted: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "array"}}}
    with pytest.raises(openai.BadRequestError, match="only where the answer is an object") as impossible:
        client.chat.completions.create(model="deepseek", messages=ASK, response_format=wanted)
    assert impossible.value.code == "unsupported"
    assert impossible.value.response.headers["x-tooloo-attempts"] == "0"
