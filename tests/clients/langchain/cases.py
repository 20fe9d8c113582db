"""LangChain's models of OpenAI (chat completions, Responses) and Anthropic, and an agent."""

from __future__ import annotations

import asyncio

from harness import ANSWER, KEY, PROVIDERS, QUESTION, ROOT, URL, case, check, raises, run, slowly
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from openai import APITimeoutError
from pydantic import BaseModel


class City(BaseModel):
    """A city"""

    name: str
    people: int


@tool
def get_weather(city: str) -> str:
    """Weather now"""
    return f"18 °C in {city}"


def _openai(model: str, **more: object) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=URL, api_key=KEY, max_retries=0, **more)


def _claude(model: str) -> ChatAnthropic:
    return ChatAnthropic(model=model, base_url=ROOT, api_key=KEY, max_retries=0, max_tokens=300)


def _answers(model: object) -> None:
    answer = model.invoke(QUESTION)
    check(answer.text.startswith(ANSWER), answer)
    check(answer.usage_metadata["total_tokens"] > 0, answer)


def _streams(model: object) -> None:
    check("".join(chunk.text for chunk in model.stream(QUESTION)).startswith(ANSWER), model)


def _loops(model: object) -> None:
    turns = create_agent(model, [get_weather]).invoke({"messages": [("user", QUESTION)]}, {"recursion_limit": 8})
    messages = turns["messages"]
    check(any(message.type == "tool" and "18 °C" in message.text for message in messages), messages)
    check(messages[-1].text.startswith(ANSWER), messages)


@case("chat", "auto", *PROVIDERS)
def invoke(model: str) -> None:
    _answers(_openai(model))


@case("chat")
def batch_and_async() -> None:
    check(len(_openai("auto").batch([QUESTION] * 3)) == 3, None)
    check(asyncio.run(_openai("auto").ainvoke(QUESTION)).text.startswith(ANSWER), None)


@case("stream", "auto", *PROVIDERS)
def stream(model: str) -> None:
    _streams(_openai(model))


@case("stream")
def stream_with_usage() -> None:
    whole = None
    for chunk in _openai("auto", stream_usage=True).stream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    check(whole is not None and whole.usage_metadata["total_tokens"] > 0, whole)


@case("tools", "auto", *PROVIDERS)
def agent(model: str) -> None:
    _loops(_openai(model))


@case("structured", "auto", *PROVIDERS)
def json_schema(model: str) -> None:
    seen = _openai(model).with_structured_output(City, method="json_schema").invoke(QUESTION)
    check(isinstance(seen, City), seen)


@case("structured", *PROVIDERS)
def function_calling(model: str) -> None:
    seen = _openai(model).with_structured_output(City, method="function_calling").invoke(QUESTION)
    check(isinstance(seen, City), seen)


@case("cancel")
def timeout() -> None:
    with slowly("openai"):
        raises(APITimeoutError, lambda: _openai("openai", timeout=1).invoke(QUESTION))


@case("responses", "auto", *PROVIDERS)
def use_responses_api(model: str) -> None:
    _answers(_openai(model, use_responses_api=True))


@case("responses", *PROVIDERS)
def responses_streamed(model: str) -> None:
    _streams(_openai(model, use_responses_api=True))


@case("responses", "auto", *PROVIDERS)
def responses_agent(model: str) -> None:
    _loops(_openai(model, use_responses_api=True))


@case("responses")
def reasoning() -> None:
    _answers(_openai("auto", reasoning={"effort": "low", "summary": "auto"}))


@case("messages", "auto", *PROVIDERS)
def claude(model: str) -> None:
    _answers(_claude(model))


@case("messages", *PROVIDERS)
def claude_streamed(model: str) -> None:
    _streams(_claude(model))


@case("messages", "auto", *PROVIDERS)
def claude_agent(model: str) -> None:
    _loops(_claude(model))


@case("messages", *PROVIDERS)
def claude_structured(model: str) -> None:
    seen = _claude(model).with_structured_output(City).invoke(QUESTION)
    check(isinstance(seen, City), seen)


@case("embeddings")
def vectors() -> None:
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=URL, api_key=KEY, check_embedding_ctx_length=False
    )
    check([bool(vector) for vector in embeddings.embed_documents(["a mutex", "a semaphore"])] == [True, True], None)


@case("completions")
def complete() -> None:
    check(OpenAI(model="auto", base_url=URL, api_key=KEY, max_retries=0).invoke(QUESTION), None)


@case("default")
def model_with_base_url() -> None:
    _answers(_openai("auto"))


run()
