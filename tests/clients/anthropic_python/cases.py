"""Anthropic's own SDK: Messages, its stream helper, counting, models."""

from __future__ import annotations

import anthropic
from anthropic import Anthropic
from harness import ANSWER, KEY, PROVIDERS, QUESTION, ROOT, case, check, raises, run, slowly
from pydantic import BaseModel

client = Anthropic(base_url=ROOT, api_key=KEY, max_retries=0, timeout=30)
ASK = [{"role": "user", "content": QUESTION}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "description": "Weather now", "input_schema": WEATHER}


class City(BaseModel):
    name: str
    people: int


@case("messages", "auto", "auto:code", *PROVIDERS)
def create(model: str) -> None:
    answer = client.messages.create(model=model, max_tokens=300, system="Be brief.", messages=ASK)
    check(answer.content[0].text.startswith(ANSWER), answer)
    check((answer.stop_reason, answer.usage.output_tokens > 0) == ("end_turn", True), answer)


@case("messages")
def errors_are_of_their_classes() -> None:
    raises(anthropic.NotFoundError, lambda: client.messages.create(model="nobody", max_tokens=9, messages=ASK))
    raises(anthropic.BadRequestError, lambda: client.messages.create(model="auto", max_tokens=0, messages=ASK))
    stranger = client.with_options(api_key="wrong")
    raises(anthropic.AuthenticationError, lambda: stranger.messages.create(model="auto", max_tokens=9, messages=ASK))


@case("messages")
def key_as_bearer() -> None:
    bearer = Anthropic(base_url=ROOT, auth_token=KEY, api_key=None, max_retries=0)
    check(bearer.messages.create(model="auto", max_tokens=300, messages=ASK).content, bearer)


@case("messages", "auto", "anthropic", "openai")
def count_tokens(model: str) -> None:
    check(client.messages.count_tokens(model=model, messages=ASK, tools=[TOOL]).input_tokens > 0, model)


@case("stream", "auto", *PROVIDERS)
def helper(model: str) -> None:
    with client.messages.stream(model=model, max_tokens=300, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    check(text.startswith(ANSWER), text)
    check((final.stop_reason, final.usage.output_tokens > 0) == ("end_turn", True), final)


@case("stream", *PROVIDERS)
def raw_events(model: str) -> None:
    events = list(client.messages.create(model=model, max_tokens=300, messages=ASK, stream=True))
    check((events[0].type, events[-1].type) == ("message_start", "message_stop"), [event.type for event in events])


@case("tools", "auto", *PROVIDERS)
def loop(model: str) -> None:
    ask = {"model": model, "max_tokens": 300, "tools": [TOOL]}
    first = client.messages.create(**ask, messages=ASK)
    use = next(block for block in first.content if block.type == "tool_use")
    check((first.stop_reason, "city" in use.input) == ("tool_use", True), first)
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "18 °C"}
    turns = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(**ask, messages=turns)
    check(second.content[0].text.startswith(ANSWER), second)


@case("tools", *PROVIDERS)
def streamed(model: str) -> None:
    with client.messages.stream(model=model, max_tokens=300, messages=ASK, tools=[TOOL]) as stream:
        final = stream.get_final_message()
    check("city" in next(block.input for block in final.content if block.type == "tool_use"), final)


@case("structured", "auto", *PROVIDERS)
def parse(model: str) -> None:
    answer = client.messages.parse(model=model, max_tokens=300, messages=ASK, output_format=City)
    check(isinstance(answer.parsed_output, City), answer)


@case("models")
def listed_and_retrieved() -> None:
    names = [model.id for model in client.models.list()]
    check("auto" in names, names)
    model = client.models.retrieve("auto")
    check((model.id, model.type, bool(model.display_name)) == ("auto", "model", True), model)


@case("cancel")
def timeout() -> None:
    hasty = client.with_options(timeout=1.0)
    with slowly("openai"):
        raises(anthropic.APITimeoutError, lambda: hasty.messages.create(model="openai", max_tokens=300, messages=ASK))


@case("cancel")
def close_in_the_middle() -> None:
    with slowly("openai"), client.messages.stream(model="openai", max_tokens=300, messages=ASK) as stream:
        next(iter(stream))
    create("openai")


@case("default")
def as_in_its_readme() -> None:
    create("auto")


run()
