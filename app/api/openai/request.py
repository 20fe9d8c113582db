"""The body of POST /v1/chat/completions, read into a Call.

Every field is honoured, ignored because it changes nothing of the answer (IGNORED), or treated as app.api.openai.extras
says. Nothing that changes the meaning of a request is dropped in silence.
docs/gateway.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.api.current import asked_by, client
from app.api.names import Name
from app.api.openai import conversation, extras, schemas, wrong
from app.api.openai.models import Choice
from app.api.streaming import wants_whole
from app.domain.routing import task_type
from app.errors import InvalidRequest
from app.gateway.calls import Call
from app.providers.base import JsonSchema

#: fields that change nothing of the answer: bookkeeping of the vendor's own platform, and hints for its speed
IGNORED = frozenset(
    {"metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
     "safety_identifier", "user"}
)  # fmt: skip

#: fields whose value asks for nothing: they are taken as if they were absent
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "function_call": ("none",),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "functions": ([],),
}

#: more than anybody takes; how many a model takes is its own
TOOLS = 1024
#: characters of the longest `PROVIDER/MODEL`
MODEL_LIMIT = 300

Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def _whole(value: object) -> object:
    """JSON has one kind of number: 100.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: as large as any vendor reads one
Whole = Annotated[int, BeforeValidator(_whole), Field(ge=-(2**63), lt=2**63)]
Tokens = Annotated[Whole, Field(ge=1)]


class Part(BaseModel):
    """Of anything; what fields it wants besides `type` is known where it is used."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _StreamOptions(Part):
    include_usage: bool | None = None


class _Schema(Part):
    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class _ResponseFormat(Part):
    model_config = ConfigDict(extra="allow")

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


class _AllowedTools(Part):
    mode: Literal["auto", "required"]
    tools: Annotated[list[_ToolChoice], Field(min_length=1)]


class _Allowed(Part):
    type: Literal["allowed_tools"]
    allowed_tools: _AllowedTools


class ChatCompletionRequest(BaseModel):
    """What is honoured. `segment` is ours: whose weights to rank by."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: Annotated[str, Field(min_length=1, max_length=MODEL_LIMIT)]
    messages: Annotated[list[Any], Field(min_length=1, max_length=10_000)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Whole | None = None
    response_format: _ResponseFormat | None = None
    tools: Annotated[list[_Tool], Field(max_length=TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | _ToolChoice | _Allowed | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    segment: Name | None = None
    #: ours: only to a target that has all that is asked
    require_parameters: bool | None = None


#: what we have a word for
FIELDS = frozenset(ChatCompletionRequest.model_fields)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood."""

    call: Call
    stream: bool
    include_usage: bool


def read(document: Mapping[str, Any], choose: Choice, treatment: str | None = None) -> Asked:
    """Raises InvalidRequest that names the field, or UnknownModel. `choose` knows the models.

    `treatment`: of fields that we do not know, as the request's header has it.
    """
    said = {name: value for name, value in document.items() if not _is_neutral(name, value)}
    wanted = _validated({name: value for name, value in said.items() if name in FIELDS})
    chosen = choose(wanted.model)
    required = bool(wanted.require_parameters)
    how = extras.treatment(treatment, named=chosen.provider is not None, required=required)
    beside = extras.treated({name: value for name, value in said.items() if name not in FIELDS}, how)
    unsaid = extras.unsaid(_without_a_word(wanted), how)
    segment, key = asked_by(wanted.segment)
    messages = conversation.read(wanted.messages, strict=how is extras.Treatment.STRICT)
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
        extra=beside.passed,
        omitted=(*beside.omitted, *unsaid),
        require_parameters=required,
        verbatim=True,
        client=client(),
    )
    options = wanted.stream_options
    return Asked(call, bool(wanted.stream), bool(options and options.include_usage))


def _without_a_word(wanted: ChatCompletionRequest) -> Iterator[str]:
    """What cannot be told to anybody of fields that are taken."""
    one, other = wanted.max_tokens, wanted.max_completion_tokens
    if one is not None and other is not None and one != other:
        yield "max_tokens"
    if wanted.response_format is not None:
        yield from (f"response_format.{name}" for name in _beside(wanted.response_format))
        if wanted.response_format.json_schema is not None:
            yield from (f"response_format.json_schema.{name}" for name in _beside(wanted.response_format.json_schema))


def _beside(given: BaseModel) -> Iterator[str]:
    return (name for name, value in (given.model_extra or {}).items() if value is not None)


def _is_neutral(name: str, value: object) -> bool:
    return value is None or name in IGNORED or value in NEUTRAL.get(name, ())


def _validated(document: Mapping[str, Any]) -> ChatCompletionRequest:
    try:
        return ChatCompletionRequest.model_validate(document)
    except ValidationError as error:
        first = wrong.most_telling(error.errors(include_url=False, include_context=False))
        known = ChatCompletionRequest.model_fields
        path = [str(part) for part in first["loc"]]
        field = wrong.field(path)
        if first["type"] == "extra_forbidden":
            message = f"unknown field {path[-1]!r}: it is not ignored, since it may change what you mean"
        else:
            said = "must be an object" if first["type"] == "model_type" else first["msg"].removeprefix("Value error, ")
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
        "tools": _tools(_offered(wanted)) or None,
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
    schemas.check(given.schema_, "response_format.json_schema.schema")
    return JsonSchema(given.name, given.schema_, given.description, given.strict)


def _tools(given: Iterable[_Tool]) -> tuple[Mapping[str, Any], ...]:
    tools = tuple(tool.model_dump() for tool in given)
    schemas.check_tools(tools)
    return tools


def _stop(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _offered(wanted: ChatCompletionRequest) -> list[_Tool]:
    """The tools, or those of them that may be called: no other format has a word for that."""
    choice, tools = wanted.tool_choice, wanted.tools or []
    if not isinstance(choice, _Allowed):
        return tools
    allowed = {each.function.name for each in choice.allowed_tools.tools}
    if missing := allowed - {tool.function.get("name") for tool in tools}:
        text = f"allowed_tools names {min(missing)!r}, which is not among the tools"
        raise InvalidRequest(text, field="tool_choice.allowed_tools.tools")
    return [tool for tool in tools if tool.function.get("name") in allowed]


def _tool_choice(wanted: ChatCompletionRequest) -> str | None:
    choice = wanted.tool_choice
    if choice is None:
        return None
    if isinstance(choice, _Allowed):
        return choice.allowed_tools.mode
    name = choice if isinstance(choice, str) else choice.function.name
    offered = {tool.function.get("name") for tool in wanted.tools or ()}
    if not wanted.tools and name != "none":
        raise InvalidRequest("tool_choice needs tools", field="tool_choice")
    if not isinstance(choice, str) and name not in offered:
        raise InvalidRequest(f"tool_choice names {name!r}, which is not among the tools", field="tool_choice")
    return name if wanted.tools else None
