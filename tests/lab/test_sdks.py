"""The providers' own Python clients against the lab: what they accept is their protocol.

They are told the lab's address and nothing else; whatever they parse, type and raise is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as gemini_errors
from google.genai import types as gemini

from tests.support.lab import SENTENCE, RunningLab

QUESTION = "Why is the sky blue?"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
    "required": ["city", "days"],
}
ARGUMENTS = {"city": "example", "days": 3}
MODELS = {
    "openai": "gpt-4.1-mini",
    "deepseek": "deepseek-chat",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.5-flash",
}
OPENAI_SPEAKERS = pytest.mark.parametrize("name", ["openai", "deepseek"])


@pytest.fixture
def openai_client(lab: RunningLab, name: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{lab.url}/{name}", api_key="sk-test", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def anthropic_client(lab: RunningLab) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=f"{lab.url}/anthropic", api_key="sk-test", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def gemini_client(lab: RunningLab) -> Iterator[genai.Client]:
    options = gemini.HttpOptions(base_url=f"{lab.url}/gemini", timeout=10_000)
    with genai.Client(api_key="test", http_options=options) as client:
        yield client


# ── OpenAI and DeepSeek ──────────────────────────────────────────────────────────────────────────────────────────────


@OPENAI_SPEAKERS
def test_openai_reads_a_whole_answer(openai_client: openai.OpenAI, name: str) -> None:
    answer = openai_client.chat.completions.create(
        model=MODELS[name], messages=[{"role": "user", "content": QUESTION}], temperature=0.2, seed=7
    )
    assert answer.choices[0].message.content == SENTENCE
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


@OPENAI_SPEAKERS
def test_openai_reads_a_stream_with_usage(openai_client: openai.OpenAI, name: str, lab: RunningLab) -> None:
    lab.set(name, tokens_per_s=500)
    stream = openai_client.chat.completions.create(
        model=MODELS[name],
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == SENTENCE
    assert len(chunks) > 3
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [lab.last()["completionTokens"]]


@OPENAI_SPEAKERS
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_openai_reads_a_tool_call(openai_client: openai.OpenAI, name: str, stream: bool) -> None:
    asked: dict[str, Any] = {
        "model": MODELS[name],
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}],
        "tool_choice": "required",
    }
    if stream:
        with openai_client.chat.completions.stream(**asked) as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = openai_client.chat.completions.create(**asked).choices[0]
    (call,) = choice.message.tool_calls or []
    assert choice.finish_reason == "tool_calls"
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", ARGUMENTS)


@OPENAI_SPEAKERS
def test_openai_counts_thoughts_and_deepseek_shows_them(
    openai_client: openai.OpenAI, name: str, lab: RunningLab
) -> None:
    lab.set(name, reasoning_tokens=20)
    answer = openai_client.chat.completions.create(model=MODELS[name], messages=[{"role": "user", "content": QUESTION}])
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 20
    shown = (answer.choices[0].message.model_extra or {}).get("reasoning_content")
    assert bool(shown) is (name == "deepseek")


@OPENAI_SPEAKERS
def test_openai_tells_that_a_filter_stopped_it(openai_client: openai.OpenAI, name: str, lab: RunningLab) -> None:
    lab.set(name, error_rate=1, error_kind="filtered")
    answer = openai_client.chat.completions.create(model=MODELS[name], messages=[{"role": "user", "content": QUESTION}])
    assert answer.choices[0].finish_reason == "content_filter"


@OPENAI_SPEAKERS
def test_openai_lists_models(openai_client: openai.OpenAI, name: str) -> None:
    assert [model.id for model in openai_client.models.list()] == [MODELS[name]]


@OPENAI_SPEAKERS
@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("bad_key", openai.AuthenticationError),
        ("rate_limited", openai.RateLimitError),
        ("server_error", openai.InternalServerError),
        ("overloaded", openai.InternalServerError),
        ("out_of_credit", openai.APIStatusError),
    ],
)
def test_openai_raises_its_own_errors(
    openai_client: openai.OpenAI, lab: RunningLab, name: str, kind: str, raised: type[openai.APIError]
) -> None:
    lab.set(name, error_rate=1, error_kind=kind)
    with pytest.raises(raised):
        openai_client.chat.completions.create(model=MODELS[name], messages=[{"role": "user", "content": QUESTION}])


@pytest.mark.parametrize("name", ["openai"])
def test_openai_raises_for_an_unknown_model(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.chat.completions.create(model="gpt-0", messages=[{"role": "user", "content": QUESTION}])
    assert caught.value.code == "model_not_found"


# ── Anthropic ────────────────────────────────────────────────────────────────────────────────────────────────────────


def asked_of_anthropic(**more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": QUESTION}]
    return {"model": MODELS["anthropic"], "max_tokens": 200, "messages": messages, **more}


def test_anthropic_reads_a_whole_answer(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(**asked_of_anthropic(system="Be brief."))
    assert answer.content[0].type == "text"
    assert answer.content[0].text == SENTENCE
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0


def test_anthropic_reads_a_stream(anthropic_client: anthropic.Anthropic, lab: RunningLab) -> None:
    lab.set("anthropic", tokens_per_s=500)
    with anthropic_client.messages.stream(**asked_of_anthropic()) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == SENTENCE
    assert len(pieces) > 3
    assert final.usage.output_tokens == lab.last()["completionTokens"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_anthropic_reads_a_tool_call(anthropic_client: anthropic.Anthropic, stream: bool) -> None:
    tools = [{"name": "weather", "input_schema": SCHEMA}]
    asked = asked_of_anthropic(tools=tools, tool_choice={"type": "any"})
    if stream:
        with anthropic_client.messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        answer = anthropic_client.messages.create(**asked)
    (block,) = answer.content
    assert answer.stop_reason == "tool_use"
    assert block.type == "tool_use"
    assert (block.name, block.input) == ("weather", ARGUMENTS)


def test_anthropic_shows_thoughts_where_asked(anthropic_client: anthropic.Anthropic, lab: RunningLab) -> None:
    lab.set("anthropic", reasoning_tokens=20)
    asked = asked_of_anthropic(max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    plain = anthropic_client.messages.create(**asked)
    with anthropic_client.messages.stream(**asked) as events:
        streamed = events.get_final_message()
    for answer in (plain, streamed):
        assert [block.type for block in answer.content] == ["thinking", "text"]
        assert answer.content[0].type == "thinking"
        assert "simulated thought" in answer.content[0].thinking
        assert answer.content[0].signature
    assert [block.type for block in anthropic_client.messages.create(**asked_of_anthropic()).content] == ["text"]


def test_anthropic_tells_a_refusal(anthropic_client: anthropic.Anthropic, lab: RunningLab) -> None:
    lab.set("anthropic", error_rate=1, error_kind="filtered")
    answer = anthropic_client.messages.create(**asked_of_anthropic())
    assert (answer.stop_reason, answer.content) == ("refusal", [])


def test_anthropic_lists_models(anthropic_client: anthropic.Anthropic) -> None:
    assert [model.id for model in anthropic_client.models.list()] == [MODELS["anthropic"]]


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("bad_key", anthropic.AuthenticationError),
        ("rate_limited", anthropic.RateLimitError),
        ("server_error", anthropic.InternalServerError),
        ("overloaded", anthropic.APIStatusError),
        ("out_of_credit", anthropic.APIStatusError),
    ],
)
def test_anthropic_raises_its_own_errors(
    anthropic_client: anthropic.Anthropic, lab: RunningLab, kind: str, raised: type[anthropic.APIError]
) -> None:
    lab.set("anthropic", error_rate=1, error_kind=kind)
    with pytest.raises(raised):
        anthropic_client.messages.create(**asked_of_anthropic())


# ── Gemini ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_gemini_reads_a_whole_answer(gemini_client: genai.Client) -> None:
    answer = gemini_client.models.generate_content(
        model=MODELS["gemini"],
        contents=QUESTION,
        config=gemini.GenerateContentConfig(system_instruction="Be brief.", temperature=0.2, seed=7),
    )
    assert answer.text == SENTENCE
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == gemini.FinishReason.STOP
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count


def test_gemini_reads_a_stream(gemini_client: genai.Client, lab: RunningLab) -> None:
    lab.set("gemini", tokens_per_s=500)
    chunks = list(gemini_client.models.generate_content_stream(model=MODELS["gemini"], contents=QUESTION))
    assert "".join(chunk.text or "" for chunk in chunks) == SENTENCE
    assert len(chunks) > 3


def test_gemini_reads_a_tool_call(gemini_client: genai.Client) -> None:
    weather = gemini.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)
    mode = gemini.FunctionCallingConfig(mode=gemini.FunctionCallingConfigMode.ANY)
    answer = gemini_client.models.generate_content(
        model=MODELS["gemini"],
        contents=QUESTION,
        config=gemini.GenerateContentConfig(
            tools=[gemini.Tool(function_declarations=[weather])],
            tool_config=gemini.ToolConfig(function_calling_config=mode),
            automatic_function_calling=gemini.AutomaticFunctionCallingConfig(disable=True),
        ),
    )
    (call,) = answer.function_calls or []
    assert (call.name, call.args) == ("weather", ARGUMENTS)


def test_gemini_shows_thoughts_where_asked(gemini_client: genai.Client, lab: RunningLab) -> None:
    lab.set("gemini", reasoning_tokens=20)
    config = gemini.GenerateContentConfig(thinking_config=gemini.ThinkingConfig(include_thoughts=True))
    answer = gemini_client.models.generate_content(model=MODELS["gemini"], contents=QUESTION, config=config)
    assert answer.parts is not None
    assert [bool(part.thought) for part in answer.parts] == [True, False]
    assert answer.text == SENTENCE
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 20


def test_gemini_tells_that_a_filter_stopped_it(gemini_client: genai.Client, lab: RunningLab) -> None:
    lab.set("gemini", error_rate=1, error_kind="filtered")
    answer = gemini_client.models.generate_content(model=MODELS["gemini"], contents=QUESTION)
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == gemini.FinishReason.SAFETY
    assert answer.text is None


def test_gemini_lists_models(gemini_client: genai.Client) -> None:
    assert [model.name for model in gemini_client.models.list()] == [f"models/{MODELS['gemini']}"]


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("bad_key", gemini_errors.ClientError),
        ("rate_limited", gemini_errors.ClientError),
        ("server_error", gemini_errors.ServerError),
        ("overloaded", gemini_errors.ServerError),
        ("out_of_credit", gemini_errors.ClientError),
    ],
)
def test_gemini_raises_its_own_errors(
    gemini_client: genai.Client, lab: RunningLab, kind: str, raised: type[gemini_errors.APIError]
) -> None:
    lab.set("gemini", error_rate=1, error_kind=kind)
    with pytest.raises(raised):
        gemini_client.models.generate_content(model=MODELS["gemini"], contents=QUESTION)
