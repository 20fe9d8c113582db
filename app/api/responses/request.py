"""The body of POST /v1/responses, read into a Call.

As app.api.openai.request does it: every field is honoured, ignored because it changes nothing of the answer, refused by
name, or treated as app.api.openai.extras says. docs/gateway.md has the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api import asking
from app.api.auth import caller
from app.api.names import Name
from app.api.openai import extras, schemas, wrong
from app.api.openai.fields import MODEL_LIMIT, MOST_TOKENS, Number, Part, Text
from app.api.openai.models import Choice
from app.api.responses import items, tools
from app.api.responses.tools import Tools
from app.api.sessions import session
from app.domain.keys import Treatment
from app.errors import InvalidRequest
from app.gateway.calls import Call
from app.providers.base import JsonSchema, Message

#: fields that change nothing of the answer, beside those that it repeats
IGNORED = frozenset({"background_options", "prompt_cache_options", "prompt_cache_retention", "client_metadata"})
#: fields whose value asks for nothing
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "background": (False,),
    "service_tier": ("auto", "default"),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
    "context_management": ([],),
}
#: refused in any case
IMPOSSIBLE: Mapping[str, str] = {
    "background": "answers are given while you wait: leave it out, and send stream: true for a long one",
    "conversation": "conversations are not kept by name: send previous_response_id, or all items as input",
    "prompt": "prompt templates are not kept here: send instructions and input",
    "context_management": "nothing is compacted here: leave it out, and shorten the input yourself",
}
#: what no target has a place for, and no chat completion a field
NEVER = frozenset({
    *("access_programs", "image", "truncation", "include.logprobs", "n", "logprobs", "top_logprobs"),
    *("reasoning.summary", "reasoning.context", "reasoning.mode"),
})  # fmt: skip

ENCRYPTED, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"
#: of these the others are about items that no answer of ours has
INCLUDABLE = (
    *(ENCRYPTED, LOGPROBS, "file_search_call.results", "web_search_call.results", "web_search_call.action.sources"),
    *("message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs"),
)
#: items of one request, its history included
MOST_ITEMS = 20_000


class _Format(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["text", "json_object", "json_schema"]
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")] | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    description: str | None = None
    strict: bool | None = None


class _TextConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: _Format | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class _Reasoning(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed", "none"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: str | None = None
    mode: str | None = None


class _StreamOptions(Part):
    include_obfuscation: bool | None = None


_Short = Annotated[str, Field(max_length=512)]


class ResponsesRequest(BaseModel):
    """What is honoured, or repeated in the answer. `segment` is ours: whose weights to rank by."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: Annotated[str, Field(min_length=1, max_length=MODEL_LIMIT)]
    input: Text | Annotated[list[Any], Field(max_length=MOST_ITEMS)]
    instructions: str | None = None
    previous_response_id: Text | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    include: list[str] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    #: of tools that the server runs: there is none
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    text: _TextConfig | None = None
    reasoning: _Reasoning | None = None
    tools: Annotated[list[Any], Field(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Annotated[dict[str, _Short], Field(max_length=16)] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    segment: Name | None = None
    #: ours: only to a target that has all that is asked
    require_parameters: bool | None = None


FIELDS = frozenset(ResponsesRequest.model_fields)


class Past(Protocol):
    """What was kept of earlier responses."""

    def before(self, response_id: str) -> list[dict[str, Any]]:
        """All items up to the end of that response; raises InvalidRequest where it is not there."""

    def referred(self, given: Sequence[object]) -> list[object]:
        """The items, each reference replaced by what it refers to."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood."""

    call: Call
    wanted: ResponsesRequest
    tools: Tools
    #: of this request alone
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def stream(self) -> bool:
        return bool(self.wanted.stream)

    @property
    def shows_thoughts(self) -> bool:
        return ENCRYPTED in (self.wanted.include or ())


def read(document: Mapping[str, Any], choose: Choice, past: Past, treatment: str | None = None) -> Asked:
    """Raises InvalidRequest that names the field, or UnknownModel. `choose` knows the models.

    `treatment`: of fields that we do not know, as the request's header has it.
    """
    said = {name: value for name, value in document.items() if not _is_neutral(name, value)}
    _refuse_impossible(said)
    wanted = _validated({name: value for name, value in said.items() if name in FIELDS})
    chosen = choose(wanted.model)
    required = bool(wanted.require_parameters)
    own_word = caller().parameters
    how = extras.treatment(treatment, own_word, named=chosen.provider is not None, required=required)
    unknown = {name: value for name, value in said.items() if name not in FIELDS}
    beside = extras.treated(unknown | _beside(wanted), how, NEVER)
    own = past.referred(_items(wanted.input))
    earlier = past.before(wanted.previous_response_id) if wanted.previous_response_id else []
    said_items = [*earlier, *own]
    conversation = items.messages(said_items, len(earlier))
    located = [
        *((f"tools.{n}", tool) for n, tool in enumerate(wanted.tools or ())),
        *items.tools_in(said_items, len(earlier)),
    ]
    offered = tools.read(located, wanted.tool_choice, how if treatment or own_word else None)
    parameters = _parameters(wanted, offered)
    if how is Treatment.STRICT and not extras.OPTIONAL.isdisjoint(parameters):
        required = True
    messages = (*_instructions(wanted), *conversation.messages)
    call = asking.call(
        chosen,
        messages,
        wanted.segment,
        parameters=parameters,
        passed=extras.everywhere(how, chosen=bool(treatment or own_word), required=required),
        extra=beside.passed,
        omitted=(*beside.omitted, *offered.omitted, *conversation.omitted),
        require_parameters=required,
        session=session(wanted.prompt_cache_key),
    )
    return Asked(call, wanted, offered, [dict(item) for item in own if isinstance(item, dict)])


def _is_neutral(name: str, value: object) -> bool:
    return value is None or name in IGNORED or value in NEUTRAL.get(name, ())


def _refuse_impossible(said: Mapping[str, Any]) -> None:
    for name, what in IMPOSSIBLE.items():
        if name in said:
            raise InvalidRequest(f"{name} is not supported: {what}", field=name)


def _validated(document: Mapping[str, Any]) -> ResponsesRequest:
    try:
        wanted = ResponsesRequest.model_validate(document)
    except ValidationError as error:
        first = wrong.most_telling(error.errors(include_url=False, include_context=False))
        path = [str(part) for part in first["loc"]]
        named = wrong.field(path)
        if first["type"] == "extra_forbidden":
            message = f"{named}: unknown field: it is not ignored, since it may change what you mean"
        else:
            said = "must be an object" if first["type"] == "model_type" else first["msg"].removeprefix("Value error, ")
            message = f"{named}: {said}"
        raise InvalidRequest(message, field=named or None) from None
    for place, name in enumerate(wanted.include or ()):
        if name not in INCLUDABLE:
            text = f"include.{place}: {name!r} is not known: {', '.join(INCLUDABLE)} are"
            raise InvalidRequest(text, field=f"include.{place}")
    return wanted


def _beside(wanted: ResponsesRequest) -> dict[str, Any]:
    """What was validated, and has no word in the one vocabulary: by its name in chat completions, where it has one."""
    reasoning = wanted.reasoning or _Reasoning()
    summary = reasoning.summary or reasoning.generate_summary
    given = {
        "top_logprobs": wanted.top_logprobs,
        "truncation": wanted.truncation,
        # what a provider tells of its thoughts is given as it is: there is no longer or shorter one
        "reasoning.summary": summary if summary in ("concise", "detailed") else None,
        "reasoning.context": reasoning.context if reasoning.context != "auto" else None,
        "reasoning.mode": reasoning.mode if reasoning.mode != "standard" else None,
        "include.logprobs": True if LOGPROBS in (wanted.include or ()) else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _items(given: str | list[Any]) -> list[Any]:
    if isinstance(given, list):
        return given
    return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]


def _instructions(wanted: ResponsesRequest) -> tuple[Message, ...]:
    return (Message("system", wanted.instructions),) if wanted.instructions else ()


def _parameters(wanted: ResponsesRequest, offered: Tools) -> dict[str, Any]:
    format_ = wanted.text.format if wanted.text else None
    given: dict[str, Any] = {
        "max_tokens": wanted.max_output_tokens,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "json_mode": True if format_ is not None and format_.type == "json_object" else None,
        "json_schema": _json_schema(format_),
        "reasoning_effort": wanted.reasoning.effort if wanted.reasoning else None,
        "tools": offered.offered or None,
        "tool_choice": offered.choice,
        "verbosity": wanted.text.verbosity if wanted.text else None,
        "service_tier": wanted.service_tier if wanted.service_tier not in NEUTRAL["service_tier"] else None,
        # without tools there are no calls to be parallel
        "parallel_tool_calls": wanted.parallel_tool_calls if offered.offered else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _json_schema(wanted: _Format | None) -> JsonSchema | None:
    if wanted is None or wanted.type != "json_schema":
        if wanted is not None and (wanted.schema_ is not None or wanted.name is not None):
            raise InvalidRequest(
                f"text.format has a schema, and yet its type is {wanted.type}", field="text.format.type"
            )
        return None
    if wanted.schema_ is None or wanted.name is None:
        lacks = "schema" if wanted.schema_ is None else "name"
        raise InvalidRequest(f"text.format of type json_schema needs {lacks}", field=f"text.format.{lacks}")
    schemas.check(wanted.schema_, "text.format.schema")
    return JsonSchema(wanted.name, wanted.schema_, wanted.description, wanted.strict)
