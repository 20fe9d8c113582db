"""The vendors' own clients against the lab: what they can read is the protocol they document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from tests.support.lab import SENTENCE, RunningLab

ASKED: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPENAI_TOOL: Any = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}
ANTHROPIC_TOOL: Any = {"name": "weather", "description": "d", "input_schema": SCHEMA}
GEMINI_TOOL = types.Tool(
    function_declarations=[types.FunctionDeclaration(name="weather", description="d", parameters_json_schema=SCHEMA)]
)
CITY = {"city": "example"}
#: model by provider of the OpenAI format
MODELS = {"openai": "gpt-4.1-mini", "deepseek": "deepseek-chat"}
OPENAI_FORMAT = pytest.mark.parametrize("name", MODELS)
CLAUDE, FLASH = "claude-haiku-4-5", "gemini-2.5-flash"


@pytest.fixture(autouse=True)
def lab(shared_lab: RunningLab) -> RunningLab:
    return shared_lab


@pytest.fixture(scope="module")
def openai_clients(lab_of_module: RunningLab) -> Iterator[dict[str, openai.OpenAI]]:
    with openai.OpenAI(base_url=lab_of_module.url, api_key="test-key", max_retries=0, timeout=20) as client:
        yield {name: client.with_options(base_url=f"{lab_of_module.url}/{name}") for name in MODELS}


@pytest.fixture
def openai_client(openai_clients: dict[str, openai.OpenAI], name: str) -> openai.OpenAI:
    return openai_clients[name]


@pytest.fixture(scope="module")
def anthropic_client(lab_of_module: RunningLab) -> Iterator[anthropic.Anthropic]:
    url = f"{lab_of_module.url}/anthropic"
    with anthropic.Anthropic(base_url=url, api_key="test-key", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def gemini_client(lab_of_module: RunningLab) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{lab_of_module.url}/gemini", timeout=20_000)
    with genai.Client(api_key="test-key", http_options=options) as client:
        yield client


@OPENAI_FORMAT
def test_openai_sdk_reads_an_answer_plain_and_streamed(openai_client: openai.OpenAI, name: str) -> None:
    plain = openai_client.chat.completions.create(model=MODELS[name], messages=ASKED)
    assert plain.choices[0].message.content == SENTENCE
    assert plain.choices[0].finish_reason == "stop"
    chunks = list(
        openai_client.chat.completions.create(
            model=MODELS[name], messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == SENTENCE
    assert chunks[-1].usage is not None
    assert plain.usage is not None
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens > 0


@OPENAI_FORMAT
def test_openai_sdk_reads_a_tool_call_the_model_chose(lab: RunningLab, openai_client: openai.OpenAI, name: str) -> None:
    lab.set(name, tool_rate=1, tokens_per_s=500)
    answer = openai_client.chat.completions.create(model=MODELS[name], messages=ASKED, tools=[OPENAI_TOOL]).choices[0]
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", CITY)
    with openai_client.chat.completions.stream(model=MODELS[name], messages=ASKED, tools=[OPENAI_TOOL]) as stream:
        streamed = stream.get_final_completion().choices[0].message
    (call,) = streamed.tool_calls or []
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", CITY)
    # its result is answered with text
    said = answer.message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "grey"}
    after: Any = [*ASKED, said, result]
    last = openai_client.chat.completions.create(model=MODELS[name], messages=after, tools=[OPENAI_TOOL]).choices[0]
    assert (last.message.content, last.finish_reason) == (SENTENCE, "stop")


@OPENAI_FORMAT
def test_openai_sdk_reads_thoughts_length_and_filter(lab: RunningLab, openai_client: openai.OpenAI, name: str) -> None:
    lab.set(name, reasoning_tokens=20)
    create = openai_client.chat.completions.create
    thought = create(model=MODELS[name], messages=ASKED)
    assert thought.usage is not None
    assert thought.usage.completion_tokens_details is not None
    assert thought.usage.completion_tokens_details.reasoning_tokens == 20
    assert bool(getattr(thought.choices[0].message, "reasoning_content", "")) is (name == "deepseek")
    assert create(model=MODELS[name], messages=ASKED, max_tokens=22).choices[0].finish_reason == "length"
    lab.set(name, error_rate=1, error_kind="filter")
    assert create(model=MODELS[name], messages=ASKED).choices[0].finish_reason == "content_filter"


@OPENAI_FORMAT
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bad_key", openai.AuthenticationError),
        ("rate_limited", openai.RateLimitError),
        ("server_error", openai.InternalServerError),
        ("overloaded", openai.InternalServerError),
        ("context_too_long", openai.BadRequestError),
        ("cut", openai.APIConnectionError),
    ],
)
def test_openai_sdk_raises_what_it_documents(
    lab: RunningLab, openai_client: openai.OpenAI, name: str, kind: str, expected: type[Exception]
) -> None:
    lab.set(name, error_rate=1, error_kind=kind)
    with pytest.raises(expected):
        openai_client.chat.completions.create(model=MODELS[name], messages=ASKED)


@OPENAI_FORMAT
def test_openai_sdk_finds_an_error_inside_a_stream(lab: RunningLab, openai_client: openai.OpenAI, name: str) -> None:
    lab.set(name, error_rate=1, error_kind="error_inside")
    stream = openai_client.chat.completions.create(model=MODELS[name], messages=ASKED, stream=True)
    with pytest.raises(openai.APIError, match=r"overloaded|busy"):
        list(stream)


@OPENAI_FORMAT
def test_openai_sdk_lists_models(openai_client: openai.OpenAI, name: str) -> None:
    first, *embeddings = [model.id for model in openai_client.models.list()]
    assert first == MODELS[name]
    assert embeddings == (["text-embedding-3-small", "text-embedding-3-large"] if name == "openai" else [])


def test_anthropic_sdk_reads_an_answer_plain_and_streamed(anthropic_client: anthropic.Anthropic) -> None:
    plain = anthropic_client.messages.create(model=CLAUDE, max_tokens=500, messages=ASKED)
    assert [block.text for block in plain.content if block.type == "text"] == [SENTENCE]
    assert plain.stop_reason == "end_turn"
    with anthropic_client.messages.stream(model=CLAUDE, max_tokens=500, messages=ASKED) as stream:
        assert "".join(stream.text_stream) == SENTENCE
        final = stream.get_final_message()
    assert final.usage.output_tokens == plain.usage.output_tokens > 0


def test_anthropic_sdk_reads_a_tool_call_the_model_chose(
    lab: RunningLab, anthropic_client: anthropic.Anthropic
) -> None:
    lab.set("anthropic", tool_rate=1, tokens_per_s=500)
    asked: dict[str, Any] = {"model": CLAUDE, "max_tokens": 500, "tools": [ANTHROPIC_TOOL]}
    plain = anthropic_client.messages.create(messages=ASKED, **asked)
    with anthropic_client.messages.stream(messages=ASKED, **asked) as stream:
        streamed = stream.get_final_message()
    for answer in (plain, streamed):
        assert answer.stop_reason == "tool_use"
        assert [(block.name, block.input) for block in answer.content if block.type == "tool_use"] == [
            ("weather", CITY)
        ]
    result = {"type": "tool_result", "tool_use_id": plain.content[0].id, "content": "grey"}
    after = [*ASKED, {"role": "assistant", "content": plain.content}, {"role": "user", "content": [result]}]
    assert anthropic_client.messages.create(messages=after, **asked).stop_reason == "end_turn"


def test_anthropic_sdk_reads_thoughts_length_and_refusal(
    lab: RunningLab, anthropic_client: anthropic.Anthropic
) -> None:
    lab.set("anthropic", reasoning_tokens=20, tokens_per_s=1000)
    with anthropic_client.messages.stream(model=CLAUDE, max_tokens=500, messages=ASKED) as stream:
        thinking, text = stream.get_final_message().content
    assert thinking.type == "thinking"
    assert thinking.thinking.startswith("This is a simulated thought")
    assert thinking.signature
    assert (text.type, getattr(text, "text", "")) == ("text", SENTENCE)
    create = anthropic_client.messages.create
    assert create(model=CLAUDE, max_tokens=22, messages=ASKED).stop_reason == "max_tokens"
    lab.set("anthropic", error_rate=1, error_kind="filter")
    assert create(model=CLAUDE, max_tokens=500, messages=ASKED).stop_reason == "refusal"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bad_key", anthropic.AuthenticationError),
        ("model_unknown", anthropic.NotFoundError),
        ("bad_request", anthropic.BadRequestError),
        ("rate_limited", anthropic.RateLimitError),
        ("overloaded", anthropic.InternalServerError),
        ("server_error", anthropic.InternalServerError),
        ("cut", anthropic.APIConnectionError),
    ],
)
def test_anthropic_sdk_raises_what_it_documents(
    lab: RunningLab, anthropic_client: anthropic.Anthropic, kind: str, expected: type[Exception]
) -> None:
    lab.set("anthropic", error_rate=1, error_kind=kind)
    with pytest.raises(expected):
        anthropic_client.messages.create(model=CLAUDE, max_tokens=500, messages=ASKED)


def test_anthropic_sdk_finds_an_error_inside_a_stream(lab: RunningLab, anthropic_client: anthropic.Anthropic) -> None:
    lab.set("anthropic", error_rate=1, error_kind="error_inside")
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        anthropic_client.messages.stream(model=CLAUDE, max_tokens=500, messages=ASKED) as stream,
    ):
        stream.get_final_message()


def test_anthropic_sdk_lists_models(anthropic_client: anthropic.Anthropic) -> None:
    assert [model.id for model in anthropic_client.models.list()] == [CLAUDE]


def test_gemini_sdk_reads_an_answer_plain_and_streamed(gemini_client: genai.Client) -> None:
    plain = gemini_client.models.generate_content(model=FLASH, contents="Why is the sky blue?")
    assert plain.text == SENTENCE
    assert plain.usage_metadata is not None
    pieces = list(gemini_client.models.generate_content_stream(model=FLASH, contents="Why is the sky blue?"))
    assert "".join(piece.text or "" for piece in pieces) == SENTENCE
    assert pieces[-1].usage_metadata is not None
    assert pieces[-1].usage_metadata.candidates_token_count == plain.usage_metadata.candidates_token_count


def test_gemini_sdk_reads_a_tool_call_the_model_chose(lab: RunningLab, gemini_client: genai.Client) -> None:
    lab.set("gemini", tool_rate=1)
    config = types.GenerateContentConfig(
        tools=[GEMINI_TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    generate = gemini_client.models
    plain = generate.generate_content(model=FLASH, contents="Weather?", config=config)
    pieces = list(generate.generate_content_stream(model=FLASH, contents="Weather?", config=config))
    for calls in (plain.function_calls or [], [call for piece in pieces for call in piece.function_calls or []]):
        assert [(call.name, call.args) for call in calls] == [("weather", CITY)]
    assert plain.candidates is not None
    assert plain.candidates[0].content is not None
    result = types.Part.from_function_response(name="weather", response={"sky": "grey"})
    asked = types.Content(role="user", parts=[types.Part(text="Weather?")])
    after: list[Any] = [asked, plain.candidates[0].content, types.Content(role="user", parts=[result])]
    assert generate.generate_content(model=FLASH, contents=after, config=config).text == SENTENCE


def test_gemini_sdk_reads_thoughts_length_and_filter(lab: RunningLab, gemini_client: genai.Client) -> None:
    lab.set("gemini", reasoning_tokens=20)
    generate = gemini_client.models.generate_content
    shown = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    answer = generate(model=FLASH, contents="Why?", config=shown)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 20
    assert [bool(part.thought) for part in answer.parts or []] == [True, False]
    assert answer.text == SENTENCE
    short = generate(model=FLASH, contents="Why?", config=types.GenerateContentConfig(max_output_tokens=22))
    assert short.candidates is not None
    assert short.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    lab.set("gemini", error_rate=1, error_kind="blocked")
    blocked = generate(model=FLASH, contents="Why?")
    assert blocked.prompt_feedback is not None
    assert blocked.prompt_feedback.block_reason is types.BlockedReason.SAFETY


@pytest.mark.parametrize(
    ("kind", "expected", "code"),
    [
        ("bad_key", genai_errors.ClientError, 400),
        ("model_unknown", genai_errors.ClientError, 404),
        ("rate_limited", genai_errors.ClientError, 429),
        ("server_error", genai_errors.ServerError, 500),
        ("overloaded", genai_errors.ServerError, 503),
    ],
)
def test_gemini_sdk_raises_what_it_documents(
    lab: RunningLab, gemini_client: genai.Client, kind: str, expected: type[genai_errors.APIError], code: int
) -> None:
    lab.set("gemini", error_rate=1, error_kind=kind)
    with pytest.raises(expected) as caught:
        gemini_client.models.generate_content(model=FLASH, contents="Why?")
    assert caught.value.code == code


def test_gemini_sdk_finds_an_error_inside_a_stream(lab: RunningLab, gemini_client: genai.Client) -> None:
    lab.set("gemini", error_rate=1, error_kind="error_inside")
    with pytest.raises(genai_errors.APIError, match="overloaded"):
        list(gemini_client.models.generate_content_stream(model=FLASH, contents="Why?"))


def test_gemini_sdk_lists_models(gemini_client: genai.Client) -> None:
    assert [model.name for model in gemini_client.models.list()] == [f"models/{FLASH}", "models/gemini-embedding-001"]
