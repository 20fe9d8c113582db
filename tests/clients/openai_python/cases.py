"""OpenAI's own SDK, from chat completions to Responses, sync and async."""

from __future__ import annotations

import asyncio
import base64
import json
import struct

import openai
from harness import ANSWER, KEY, MODELS, PROVIDERS, QUESTION, URL, case, check, raises, run, slowly
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=URL, api_key=KEY, max_retries=0, timeout=30)
ASK = [{"role": "user", "content": QUESTION}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather now", "parameters": WEATHER}}
#: the same, as Responses has it
FLAT = {"type": "function", "name": "get_weather", "description": "Weather now", "parameters": WEATHER, "strict": True}


class City(BaseModel):
    name: str
    people: int


@case("chat", *MODELS)
def create(model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=ASK)
    check(answer.choices[0].message.content.startswith(ANSWER), answer)
    check(answer.usage.total_tokens > 0, answer.usage)


@case("chat")
def asynchronous() -> None:
    async def ask() -> str:
        async with AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0) as many:
            answers = await asyncio.gather(
                *(many.chat.completions.create(model="auto", messages=ASK) for _ in range(4))
            )
        return [answer.choices[0].message.content for answer in answers]

    check(all(text.startswith(ANSWER) for text in asyncio.run(ask())), None)


@case("chat")
def errors_are_of_their_classes() -> None:
    raises(openai.NotFoundError, lambda: client.chat.completions.create(model="nobody", messages=ASK))
    raises(openai.BadRequestError, lambda: client.chat.completions.create(model="auto", messages=ASK, temperature=9))
    stranger = client.with_options(api_key="wrong")
    raises(openai.AuthenticationError, lambda: stranger.chat.completions.create(model="auto", messages=ASK))


@case("stream", "auto", *PROVIDERS)
def chunks(model: str) -> None:
    stream = client.chat.completions.create(
        model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    seen = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in seen if chunk.choices)
    check(text.startswith(ANSWER), text)
    check(seen[-1].usage.total_tokens > 0, seen[-1])


@case("stream", *PROVIDERS)
def helper(model: str) -> None:
    with client.chat.completions.stream(model=model, messages=ASK) as stream:
        for _ in stream:
            pass
        check(stream.get_final_completion().choices[0].message.content.startswith(ANSWER), stream)


@case("tools", "auto", *PROVIDERS)
def loop(model: str) -> None:
    messages = list(ASK)
    first = client.chat.completions.create(model=model, messages=messages, tools=[TOOL]).choices[0]
    check(first.finish_reason == "tool_calls", first)
    call = first.message.tool_calls[0]
    check("city" in json.loads(call.function.arguments), call)
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "18 °C"}]
    second = client.chat.completions.create(model=model, messages=messages, tools=[TOOL]).choices[0]
    check(second.message.content.startswith(ANSWER), second)


@case("tools", *PROVIDERS)
def streamed(model: str) -> None:
    with client.chat.completions.stream(model=model, messages=ASK, tools=[TOOL]) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    check((call.function.name, "city" in json.loads(call.function.arguments)) == ("get_weather", True), call)


@case("structured", "auto", *PROVIDERS)
def parse(model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=ASK, response_format=City)
    check(isinstance(answer.choices[0].message.parsed, City), answer)


@case("models")
def listed_and_retrieved() -> None:
    names = [model.id for model in client.models.list()]
    check({"auto", "deepseek/deepseek-chat"} <= set(names), names)
    check(client.models.retrieve("auto").id == "auto", names)


@case("cancel")
def timeout() -> None:
    hasty = client.with_options(timeout=1.0)
    with slowly("openai"):
        raises(openai.APITimeoutError, lambda: hasty.chat.completions.create(model="openai", messages=ASK))


@case("cancel")
def close_in_the_middle() -> None:
    with slowly("openai"):
        stream = client.chat.completions.create(model="openai", messages=ASK, stream=True)
        next(iter(stream))
        stream.close()
    create("openai")


@case("responses", "auto", *PROVIDERS)
def respond(model: str) -> None:
    answer = client.responses.create(model=model, input=QUESTION, instructions="Be brief.")
    check(answer.output_text.startswith(ANSWER), answer)
    check((answer.status, answer.usage.total_tokens > 0) == ("completed", True), answer)


@case("responses", "auto", *PROVIDERS)
def respond_streamed(model: str) -> None:
    with client.responses.stream(model=model, input=QUESTION) as stream:
        numbers = [event.sequence_number for event in stream]
        answer = stream.get_final_response()
    check(answer.output_text.startswith(ANSWER), answer)
    check(numbers == list(range(len(numbers))), numbers)


@case("responses", *PROVIDERS)
def respond_with_tool(model: str) -> None:
    first = client.responses.create(model=model, input=QUESTION, tools=[FLAT], store=False)
    call = next(item for item in first.output if item.type == "function_call")
    check("city" in json.loads(call.arguments), call)
    turns = [{"role": "user", "content": QUESTION}, *first.output]
    turns.append({"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"})
    second = client.responses.create(model=model, input=turns, tools=[FLAT], store=False)
    check(second.output_text.startswith(ANSWER), second)


@case("responses", *PROVIDERS)
def respond_parsed(model: str) -> None:
    answer = client.responses.parse(model=model, input=QUESTION, text_format=City)
    check(isinstance(answer.output_parsed, City), answer)


@case("responses")
def respond_after_another() -> None:
    first = client.responses.create(model="auto", input=QUESTION)
    second = client.responses.create(model="auto", input="And a semaphore?", previous_response_id=first.id)
    check(second.output_text.startswith(ANSWER), second)
    check(client.responses.retrieve(first.id).output_text == first.output_text, first)
    check(client.responses.input_items.list(first.id).data, first)
    client.responses.delete(first.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(first.id))


@case("embeddings")
def vectors() -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["a mutex", "a semaphore"])
    check([len(each.embedding) > 0 for each in answer.data] == [True, True], answer)


@case("embeddings")
def vectors_in_base64() -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input="a mutex", encoding_format="base64")
    raw = base64.b64decode(answer.data[0].embedding)
    check(len(struct.unpack(f"{len(raw) // 4}f", raw)) > 0, answer)


@case("completions")
def complete() -> None:
    answer = client.completions.create(model="auto", prompt=QUESTION, max_tokens=200)
    check(answer.choices[0].text, answer)


@case("completions")
def complete_streamed() -> None:
    seen = list(client.completions.create(model="auto", prompt=QUESTION, max_tokens=200, stream=True))
    check("".join(chunk.choices[0].text for chunk in seen if chunk.choices), seen)


@case("default")
def as_in_its_readme() -> None:
    respond("auto")
    create("auto")


run()
