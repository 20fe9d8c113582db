"""pydantic-ai with its models of OpenAI (Responses where "openai:" is said, chat) and Anthropic."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from anthropic import AsyncAnthropic
from harness import ANSWER, KEY, PROVIDERS, QUESTION, ROOT, URL, case, check, run
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    name: str
    people: int


def get_weather(city: str) -> str:
    """Weather now"""
    return f"18 °C in {city}"


def _openai() -> OpenAIProvider:
    return OpenAIProvider(openai_client=AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0))


def _chat(name: str) -> Model:
    return OpenAIChatModel(name, provider=_openai())


def _responses(name: str) -> Model:
    return OpenAIResponsesModel(name, provider=_openai())


def _claude(name: str) -> Model:
    client = AsyncAnthropic(base_url=ROOT, api_key=KEY, max_retries=0)
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))


def _streams(model: Model) -> None:
    async def ask() -> str:
        async with Agent(model, tools=[get_weather]).run_stream(QUESTION) as result:
            return await result.get_output()

    check((seen := asyncio.run(ask())).startswith(ANSWER), seen)


def _says(model: Model) -> None:
    check((seen := Agent(model).run_sync(QUESTION).output).startswith(ANSWER), seen)


def _loops(model: Model) -> None:
    result = Agent(model, tools=[get_weather], instructions="Be brief.").run_sync(QUESTION)
    check(result.output.startswith(ANSWER) and "tool-return" in str(result.all_messages_json()), result)


def _fills(model: Model) -> None:
    check(isinstance(seen := Agent(model, output_type=ToolOutput(City)).run_sync(QUESTION).output, City), seen)


def _fills_natively(model: Model) -> None:
    check(isinstance(seen := Agent(model, output_type=NativeOutput(City)).run_sync(QUESTION).output, City), seen)


def _all(feature: str, name: str, make: Callable[[str], Model], show: Callable[[Model], None]) -> None:
    def shown(model: str) -> None:
        show(make(model))

    shown.__name__ = name
    case(feature, "auto", *PROVIDERS)(shown)


_all("chat", "chat", _chat, _says)
_all("stream", "chat_with_tool", _chat, _streams)
_all("tools", "chat", _chat, _loops)
_all("structured", "chat_ToolOutput", _chat, _fills)
for feature, make in {"responses": _responses, "messages": _claude}.items():
    for show in (_says, _streams, _loops, _fills):
        _all(feature, show.__name__.strip("_"), make, show)


@case("structured", "auto", "openai")
def native_output(model: str) -> None:
    _fills_natively(_chat(model))


@case("responses", "auto", "openai")
def responses_native_output(model: str) -> None:
    _fills_natively(_responses(model))


@case("default")
def model_by_name() -> None:
    os.environ |= {"OPENAI_BASE_URL": URL, "OPENAI_API_KEY": KEY}
    check((seen := Agent("openai:auto").run_sync(QUESTION).output).startswith(ANSWER), seen)


run()
