"""LiteLLM as a client: OpenAI's and Anthropic's ways of it."""

from __future__ import annotations

import json
import os

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}  # it reads them when imported

import litellm
from harness import ANSWER, KEY, PROVIDERS, QUESTION, ROOT, URL, case, check, raises, run, slowly

ASK = [{"role": "user", "content": QUESTION}]
OPENAI = {"api_base": URL, "api_key": KEY, "max_retries": 0, "timeout": 30}
CLAUDE = {"api_base": ROOT, "api_key": KEY, "max_retries": 0, "timeout": 30, "max_tokens": 300}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather now", "parameters": WEATHER}}
CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


def _says(model: str, **access: object) -> None:
    answer = litellm.completion(model=model, messages=ASK, **access)
    check(answer.choices[0].message.content.startswith(ANSWER) and answer.usage.total_tokens > 0, answer)


def _streams(model: str, **access: object) -> None:
    chunks = litellm.completion(model=model, messages=ASK, stream=True, **access)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check(text.startswith(ANSWER), text)


def _loops(model: str, **access: object) -> None:
    first = litellm.completion(model=model, messages=ASK, tools=[TOOL], **access).choices[0].message
    call = first.tool_calls[0]
    check("city" in json.loads(call.function.arguments), call)
    turns = [*ASK, first, {"role": "tool", "tool_call_id": call.id, "content": "18 °C"}]
    second = litellm.completion(model=model, messages=turns, tools=[TOOL], **access).choices[0].message
    check(second.content.startswith(ANSWER), second)


@case("chat", "auto", "auto:code", *PROVIDERS)
def completion(model: str) -> None:
    _says(f"openai/{model}", **OPENAI)


@case("stream", "auto", *PROVIDERS)
def streamed(model: str) -> None:
    _streams(f"openai/{model}", **OPENAI)


@case("tools", "auto", *PROVIDERS)
def loop(model: str) -> None:
    _loops(f"openai/{model}", **OPENAI)


@case("structured", "auto", *PROVIDERS)
def json_schema(model: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
    answer = litellm.completion(model=f"openai/{model}", messages=ASK, response_format=wanted, **OPENAI)
    check("name" in json.loads(answer.choices[0].message.content), answer)


@case("cancel")
def timeout() -> None:
    with slowly("openai"):
        raises(litellm.Timeout, lambda: _says("openai/openai", **{**OPENAI, "timeout": 1}))


@case("responses", "auto", *PROVIDERS)
def responses(model: str) -> None:
    answer = litellm.responses(model=f"openai/{model}", input=QUESTION, **OPENAI)
    check(ANSWER in str(answer.output), answer)


@case("responses", "auto", *PROVIDERS)
def responses_streamed(model: str) -> None:
    kinds = [str(event.type) for event in litellm.responses(QUESTION, f"openai/{model}", stream=True, **OPENAI)]
    check("completed" in kinds[-1].lower(), kinds)


@case("messages", "auto", *PROVIDERS)
def claude(model: str) -> None:
    _says(f"anthropic/{model}", **CLAUDE)


@case("messages", "auto", *PROVIDERS)
def claude_streamed(model: str) -> None:
    _streams(f"anthropic/{model}", **CLAUDE)


@case("messages", "auto", *PROVIDERS)
def claude_loop(model: str) -> None:
    _loops(f"anthropic/{model}", **CLAUDE)


@case("embeddings")
def embedding() -> None:
    answer = litellm.embedding(model="openai/text-embedding-3-small", input=["a mutex"], **OPENAI)
    check(answer.data[0]["embedding"], answer)


@case("completions")
def text_completion() -> None:
    answer = litellm.text_completion(
        model="text-completion-openai/auto", prompt=QUESTION, api_base=URL, api_key=KEY, max_retries=0
    )
    check(answer.choices[0].text, answer)


@case("default")
def openai_auto() -> None:
    _says("openai/auto", **OPENAI)


run()
