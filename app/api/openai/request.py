"""The body of POST /v1/chat/completions, read into a Call.

Every field is honoured, ignored because it changes nothing of the answer (IGNORED), or treated as app.api.openai.extras
says. Nothing that changes the meaning of a request is dropped in silence.
docs/gateway.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from app.api import asking
from app.api.auth import caller
from app.api.openai import conversation, extras, functions, schemas, wrong
from app.api.openai.fields import FIELDS, Allowed, ChatCompletionRequest, ResponseFormat, Tool
from app.api.openai.models import Choice
from app.api.sessions import session
from app.domain.keys import Treatment
from app.errors import InvalidRequest
from app.gateway.calls import Call
from app.providers.base import JsonSchema

#: fields that change nothing of the answer: bookkeeping of the vendor's own platform, and hints for its speed
IGNORED = frozenset({"prompt_cache_options"})
#: … of them those that go to who has them, and what they have to be
HINTS: Mapping[str, type] = {
    "metadata": dict, "prediction": dict, "prompt_cache_key": str, "prompt_cache_retention": str,
    "safety_identifier": str, "user": str,
}  # fmt: skip

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

#: what is no parameter of a model's
_NO_PARAMETERS = frozenset({"model", "messages", "stream", "stream_options", "segment", "require_parameters"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood."""

    call: Call
    stream: bool
    include_usage: bool
    #: the caller knows calls of tools in their older form
    functions: bool = False


def read(document: Mapping[str, Any], choose: Choice, treatment: str | None = None) -> Asked:
    """Raises InvalidRequest that names the field, or UnknownModel. `choose` knows the models.

    `treatment`: of fields that we do not know, as the request's header has it.
    """
    said = {name: value for name, value in document.items() if not _is_neutral(name, value)}
    older = functions.are_in(said) and "tools" not in said
    said = functions.as_tools(said) if functions.are_in(said) else said
    wanted = _validated({name: value for name, value in said.items() if name in FIELDS})
    chosen = choose(wanted.model)
    required = bool(wanted.require_parameters)
    own = caller().parameters
    how = extras.treatment(treatment, own, named=chosen.provider is not None, required=required)
    beside = extras.treated({name: value for name, value in said.items() if name not in FIELDS}, how)
    unsaid = extras.unsaid(_without_a_word(wanted), how)
    messages = conversation.read(wanted.messages, strict=how is Treatment.STRICT)
    parameters = _parameters(wanted) | _hints(document) | ({"functions": True} if older and wanted.tools else {})
    if how is Treatment.STRICT and not extras.OPTIONAL.isdisjoint(parameters):
        required = True
    call = asking.call(
        chosen,
        messages,
        wanted.segment,
        parameters=parameters,
        passed=extras.everywhere(how, chosen=bool(treatment or own), required=required),
        extra=beside.passed,
        omitted=(*beside.omitted, *unsaid),
        require_parameters=required,
        session=session(document.get("prompt_cache_key")),
    )
    options = wanted.stream_options
    return Asked(call, bool(wanted.stream), bool(options and options.include_usage), older)


def _hints(document: Mapping[str, Any]) -> dict[str, Any]:
    """As a parameter of the request, where there are any."""
    given = {name: document[name] for name in HINTS if document.get(name) not in (None, "", {})}
    for name, value in given.items():
        if not isinstance(value, HINTS[name]):
            what = "a text" if HINTS[name] is str else "an object"
            raise InvalidRequest(f"{name}: must be {what}", field=name)
    return {"hints": given} if given else {}


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
    return value is None or name in IGNORED or name in HINTS or value in NEUTRAL.get(name, ())


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
    if wanted.model_fields_set <= _NO_PARAMETERS:
        return {}
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
        "tools": _tools(wanted.tools or ()) or None,
        "tool_choice": _tool_choice(wanted),
        # without tools there are no calls to be parallel
        "parallel_tool_calls": wanted.parallel_tool_calls if wanted.tools else None,
        "allowed_tools": _allowed(wanted) or None,
        "n": wanted.n,
        "logprobs": wanted.logprobs,
        "top_logprobs": _top_logprobs(wanted),
        "service_tier": wanted.service_tier,
        "verbosity": wanted.verbosity,
    }
    return {name: value for name, value in given.items() if value is not None}


def _json_schema(wanted: ResponseFormat | None) -> JsonSchema | None:
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


def _tools(given: Iterable[Tool]) -> tuple[Mapping[str, Any], ...]:
    tools = tuple(tool.model_dump() for tool in given)
    schemas.check_tools(tools)
    return tools


def _stop(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _top_logprobs(wanted: ChatCompletionRequest) -> int | None:
    if wanted.top_logprobs is not None and not wanted.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs: true", field="top_logprobs")
    return wanted.top_logprobs


def _allowed(wanted: ChatCompletionRequest) -> tuple[str, ...]:
    """Names of the tools that may be called, where not all may."""
    choice = wanted.tool_choice
    if not isinstance(choice, Allowed):
        return ()
    allowed = tuple(each.function.name for each in choice.allowed_tools.tools)
    if missing := set(allowed) - {tool.function.get("name") for tool in wanted.tools or ()}:
        text = f"allowed_tools names {min(missing)!r}, which is not among the tools"
        raise InvalidRequest(text, field="tool_choice.allowed_tools.tools")
    return allowed


def _tool_choice(wanted: ChatCompletionRequest) -> str | None:
    choice = wanted.tool_choice
    if choice is None:
        return None
    if isinstance(choice, Allowed):
        return choice.allowed_tools.mode
    name = choice if isinstance(choice, str) else choice.function.name
    offered = {tool.function.get("name") for tool in wanted.tools or ()}
    if not wanted.tools and name != "none":
        raise InvalidRequest("tool_choice needs tools", field="tool_choice")
    if not isinstance(choice, str) and name not in offered:
        raise InvalidRequest(f"tool_choice names {name!r}, which is not among the tools", field="tool_choice")
    return name if wanted.tools else None
