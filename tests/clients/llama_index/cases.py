"""LlamaIndex's OpenAILike: completions where nobody says is_chat_model, and chat completions."""

from __future__ import annotations

import asyncio

from harness import ANSWER, KEY, PROVIDERS, QUESTION, URL, case, check, run
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class City(BaseModel):
    """A city"""

    name: str
    people: int


def get_weather(city: str) -> str:
    """Weather now"""
    return f"18 °C in {city}"


def _model(name: str, **more: object) -> OpenAILike:
    return OpenAILike(model=name, api_base=URL, api_key=KEY, max_retries=0, **more)


def _chat(name: str) -> OpenAILike:
    return _model(name, is_chat_model=True, is_function_calling_model=True)


@case("chat", "auto", *PROVIDERS)
def chat(model: str) -> None:
    seen = _chat(model).chat([ChatMessage(role="user", content=QUESTION)])
    check(str(seen.message.content).startswith(ANSWER), seen)


@case("stream", "auto", *PROVIDERS)
def stream_chat(model: str) -> None:
    parts = list(_chat(model).stream_chat([ChatMessage(role="user", content=QUESTION)]))
    check(str(parts[-1].message.content).startswith(ANSWER), parts[-1])


@case("tools", "auto", *PROVIDERS)
def function_agent(model: str) -> None:
    async def ask() -> str:
        return str(await FunctionAgent(tools=[get_weather], llm=_chat(model)).run(QUESTION, max_iterations=4))

    check((seen := asyncio.run(ask())).startswith(ANSWER), seen)


@case("structured", "auto", *PROVIDERS)
def structured_predict(model: str) -> None:
    seen = _chat(model).structured_predict(City, PromptTemplate("A city of {country}"), country="Peru")
    check(isinstance(seen, City), seen)


@case("embeddings")
def vectors() -> None:
    embedding = OpenAILikeEmbedding(model_name="text-embedding-3-small", api_base=URL, api_key=KEY, max_retries=0)
    check(embedding.get_text_embedding("a mutex"), None)


@case("completions", "auto", *PROVIDERS)
def complete(model: str) -> None:
    check(_model(model).complete(QUESTION).text, model)


@case("completions")
def stream_complete() -> None:
    check(list(_model("auto").stream_complete(QUESTION))[-1].text, None)


@case("default")
def nothing_said() -> None:
    check(_model("auto").complete(QUESTION).text, None)


run()
