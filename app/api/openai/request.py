"""The body of POST /v1/chat/completions, read into a Call.

Every field is one of three things: honoured, ignored because it changes nothing of the answer (IGNORED), or refused
with a sentence that says why. Nothing that changes the meaning of a request is dropped in silence.
docs/gateway.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api.current import asked_by
from app.api.openai.models import Choice
from app.api.streaming import wants_whole
from app.domain.routing import task_type
from app.errors import InvalidRequest
from app.gateway.calls import Call
from app.providers.base import JsonSchema, Message, ToolCall

#: fields that change nothing of the answer: bookkeeping of the vendor's own platform, and hints for its speed
IGNORED = frozenset(
    {"metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
     "safety_identifier", "user"}
)  # fmt: skip

#: fields whose value asks for nothing: they are taken as if they were absent
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "functions": ([],),
}

#: why anything else is refused
REFUSED: Mapping[str, str] = {
    "n": "one answer per request: send the request n times",
    "logprobs": "log probabilities are not available here: leave it out",
    "top_logprobs": "log probabilities are not available here: leave it out",
    "logit_bias": "tokens differ from provider to provider: leave it out",
    "modalities": 'only text is answered here: send ["text"], or leave it out',
    "audio": "only text is answered here: leave it out",
    "service_tier": "providers are chosen by measurement here: leave it out, or send auto",
    "store": "answers are not stored here: leave it out, or send false",
    "functions": "the older form of tools: send `tools`",
    "function_call": "the older form of tool_choice: send `tool_choice`",
    "verbosity": "not every provider has it: say it in the prompt",
    "web_search_options": "there is no web search here: leave it out",
}

Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """Of anything; what fields it wants besides `type` is known where it is used."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Function(Part):
    name: Text
    arguments: str = ""


class _ToolCall(Part):
    id: Text
    type: Literal["function"] = "function"
    function: _Function


class _ContentPart(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    type: Literal["text", "image_url", "refusal"]
    text: str | None = None
    refusal: str | None = None


class _Turn(Part):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_ContentPart] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None


class _StreamOptions(Part):
    include_usage: bool | None = None


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class _ResponseFormat(Part):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


class _Tool(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    type: Literal["function"]
    function: dict[str, Any]


class _ChosenFunction(Part):
    name: Text


class _ToolChoice(Part):
    type: Literal["function"]
    function: _ChosenFunction


class ChatCompletionRequest(BaseModel):
    """What is honoured. `segment` is ours: whose weights to rank by."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: Text
    messages: Annotated[list[_Turn], Field(min_length=1, max_length=10_000)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: int | None = None
    response_format: _ResponseFormat | None = None
    tools: Annotated[list[_Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    segment: Annotated[str, Field(min_length=1, max_length=100)] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood."""

    call: Call
    stream: bool
    include_usage: bool


def read(document: Mapping[str, Any], choose: Choice) -> Asked:
    """Raises InvalidRequest that names the field, or UnknownModel. `choose` knows the models."""
    wanted = _validated({name: value for name, value in document.items() if not _is_neutral(name, value)})
    chosen = choose(wanted.model)
    segment, key = asked_by(wanted.segment)
    messages = tuple(_message(turn, place) for place, turn in enumerate(wanted.messages))
    call = Call(
        messages=messages,
        task_type=chosen.task_type or task_type.detect(messages),
        detected=chosen.task_type is None,
        segment=segment,
        key=key,
        provider=chosen.provider,
        model=chosen.model,
        whole=wants_whole(),
        parameters=_parameters(wanted),
    )
    options = wanted.stream_options
    return Asked(call, bool(wanted.stream), bool(options and options.include_usage))


def _is_neutral(name: str, value: object) -> bool:
    """Raises InvalidRequest for a field that we know and refuse."""
    if value is None or name in IGNORED or value in NEUTRAL.get(name, ()):
        return True
    if name in REFUSED:
        raise InvalidRequest(f"{name} is not supported with this value: {REFUSED[name]}", field=name)
    return False


def _validated(document: Mapping[str, Any]) -> ChatCompletionRequest:
    try:
        return ChatCompletionRequest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        known = ChatCompletionRequest.model_fields
        path = [str(part) for part in first["loc"]]
        # of a union, pydantic names the branch too
        field = ".".join(part for place, part in enumerate(path) if place == 0 or part.isdigit() or part.islower())
        if first["type"] == "extra_forbidden":
            message = f"unknown field {path[-1]!r}: it is not ignored, since it may change what you mean"
        else:
            said = "must be an object" if first["type"] == "model_type" else first["msg"]
            message = f"{path[0] if path and path[0] not in known else field}: {said}"
        raise InvalidRequest(message, field=field or None) from None


def _parameters(wanted: ChatCompletionRequest) -> dict[str, Any]:
    given: dict[str, Any] = {
        "max_tokens": wanted.max_completion_tokens or wanted.max_tokens,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "frequency_penalty": wanted.frequency_penalty,
        "presence_penalty": wanted.presence_penalty,
        "seed": wanted.seed,
        "stop": _stop(wanted.stop) or None,
        "json_mode": True if wanted.response_format and wanted.response_format.type == "json_object" else None,
        "json_schema": _json_schema(wanted.response_format),
        "reasoning_effort": wanted.reasoning_effort,
        "tools": tuple(tool.model_dump() for tool in wanted.tools or ()) or None,
        "tool_choice": _tool_choice(wanted),
        # without tools there are no calls to be parallel
        "parallel_tool_calls": wanted.parallel_tool_calls if wanted.tools else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _json_schema(wanted: _ResponseFormat | None) -> JsonSchema | None:
    if wanted is None:
        return None
    given = wanted.json_schema
    if (wanted.type == "json_schema") != (given is not None):
        why = "needs json_schema" if given is None else f"has json_schema, and yet its type is {wanted.type}"
        raise InvalidRequest(f"response_format {why}", field="response_format.json_schema")
    if given is None:
        return None
    return JsonSchema(given.name, given.schema_, given.description, given.strict)


def _stop(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _tool_choice(wanted: ChatCompletionRequest) -> str | None:
    choice = wanted.tool_choice
    if choice is None:
        return None
    name = choice if isinstance(choice, str) else choice.function.name
    offered = {tool.function.get("name") for tool in wanted.tools or ()}
    if not wanted.tools and name != "none":
        raise InvalidRequest("tool_choice needs tools", field="tool_choice")
    if not isinstance(choice, str) and name not in offered:
        raise InvalidRequest(f"tool_choice names {name!r}, which is not among the tools", field="tool_choice")
    return name if wanted.tools else None


def _message(turn: _Turn, place: int) -> Message:
    where = f"messages.{place}"
    if turn.role == "tool" and not turn.tool_call_id:
        raise InvalidRequest("a tool message needs tool_call_id", field=f"{where}.tool_call_id")
    if turn.tool_calls and turn.role != "assistant":
        raise InvalidRequest(f"a {turn.role} message cannot call tools", field=f"{where}.tool_calls")
    content = turn.content if turn.content is not None else turn.refusal
    if content is None and not turn.tool_calls:
        raise InvalidRequest(f"a {turn.role} message needs content", field=f"{where}.content")
    return Message(
        role=turn.role,
        content=content if isinstance(content, str) else tuple(_part(part) for part in content or ()),
        tool_calls=tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in turn.tool_calls or ()),
        tool_call_id=turn.tool_call_id if turn.role == "tool" else None,
    )


def _part(part: _ContentPart) -> Mapping[str, Any]:
    """An earlier refusal is text like any other to a provider that has no name for it."""
    if part.type == "refusal":
        return {"type": "text", "text": part.refusal or ""}
    return part.model_dump(exclude_none=True)
