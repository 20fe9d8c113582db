"""instructor: structured output in its modes, of OpenAI's chat completions and Responses, and Anthropic's Messages."""

from __future__ import annotations

import instructor
from anthropic import Anthropic
from harness import KEY, PROVIDERS, QUESTION, ROOT, URL, case, check, run
from openai import OpenAI
from pydantic import BaseModel

ASK = [{"role": "user", "content": QUESTION}]
client = OpenAI(base_url=URL, api_key=KEY, max_retries=0)


class City(BaseModel):
    name: str
    people: int


def _create(mode: instructor.Mode, model: str) -> None:
    made = instructor.from_openai(client, mode=mode).create(
        model=model, messages=ASK, response_model=City, max_retries=1
    )
    check(isinstance(made, City), made)


@case("tools", "auto", *PROVIDERS)
def mode_tools(model: str) -> None:
    _create(instructor.Mode.TOOLS, model)


@case("structured", "auto", *PROVIDERS)
def mode_json_schema(model: str) -> None:
    _create(instructor.Mode.JSON_SCHEMA, model)


@case("stream", "auto", *PROVIDERS)
def partial(model: str) -> None:
    parts = instructor.from_openai(client).create_partial(model=model, messages=ASK, response_model=City)
    check(isinstance(list(parts)[-1], BaseModel), model)


@case("responses", "auto", *PROVIDERS)
def mode_responses_tools(model: str) -> None:
    _create(instructor.Mode.RESPONSES_TOOLS, model)


@case("messages", "auto", *PROVIDERS)
def mode_anthropic_tools(model: str) -> None:
    theirs = Anthropic(base_url=ROOT, api_key=KEY, max_retries=0)
    made = instructor.from_anthropic(theirs).create(
        model=model, messages=ASK, max_tokens=300, response_model=City, max_retries=1
    )
    check(isinstance(made, City), made)


@case("default")
def as_in_its_readme() -> None:
    mode_tools("auto")


run()
