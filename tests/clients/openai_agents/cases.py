"""OpenAI's Agents SDK, with the model classes it has: Responses, its default, and chat completions."""

from __future__ import annotations

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from agents import set_default_openai_client as set_client
from harness import ANSWER, KEY, PROVIDERS, QUESTION, URL, case, check, run
from openai import AsyncOpenAI
from pydantic import BaseModel

set_tracing_disabled(True)


class City(BaseModel):
    name: str
    people: int


@function_tool
def get_weather(city: str) -> str:
    """Weather now"""
    return f"18 °C in {city}"


def _agent(model: str, kind: type = OpenAIChatCompletionsModel, **more: object) -> Agent:
    client = AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0)
    return Agent(name="helper", instructions="Be brief.", model=kind(model=model, openai_client=client), **more)


def _run(agent: Agent) -> object:
    return asyncio.run(Runner.run(agent, QUESTION, max_turns=4)).final_output


async def _streamed(agent: Agent) -> tuple[object, list[str]]:
    result = Runner.run_streamed(agent, QUESTION, max_turns=4)
    kinds = [event.type async for event in result.stream_events()]
    return result.final_output, kinds


@case("chat", "auto", *PROVIDERS)
def chat_model(model: str) -> None:
    check(str(seen := _run(_agent(model))).startswith(ANSWER), seen)


@case("stream", "auto", *PROVIDERS)
def chat_model_streamed(model: str) -> None:
    text, kinds = asyncio.run(_streamed(_agent(model)))
    check(str(text).startswith(ANSWER), (text, kinds))


@case("tools", "auto", *PROVIDERS)
def chat_model_with_tool(model: str) -> None:
    check(str(seen := _run(_agent(model, tools=[get_weather]))).startswith(ANSWER), seen)


@case("structured", "auto", *PROVIDERS)
def chat_model_with_output_type(model: str) -> None:
    check(isinstance(seen := _run(_agent(model, output_type=City)), City), seen)


@case("responses", "auto", *PROVIDERS)
def responses_model(model: str) -> None:
    check(str(seen := _run(_agent(model, OpenAIResponsesModel))).startswith(ANSWER), seen)


@case("responses", "auto", *PROVIDERS)
def responses_model_with_tool(model: str) -> None:
    check(str(seen := _run(_agent(model, OpenAIResponsesModel, tools=[get_weather]))).startswith(ANSWER), seen)


@case("responses", "auto", *PROVIDERS)
def responses_model_streamed(model: str) -> None:
    text, kinds = asyncio.run(_streamed(_agent(model, OpenAIResponsesModel, tools=[get_weather])))
    check(str(text).startswith(ANSWER), (text, kinds))


@case("responses", *PROVIDERS)
def responses_model_with_output_type(model: str) -> None:
    check(isinstance(seen := _run(_agent(model, OpenAIResponsesModel, output_type=City)), City), seen)


@case("responses")
def handoff() -> None:
    second = _agent("auto", OpenAIResponsesModel)
    second.handoff_description = "knows mutexes"
    check(str(seen := _run(_agent("auto", OpenAIResponsesModel, handoffs=[second]))).startswith(ANSWER), seen)


@case("default")
def model_by_name() -> None:
    set_client(AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0))
    check(str(seen := _run(Agent(name="helper", model="auto"))).startswith(ANSWER), seen)


run()
