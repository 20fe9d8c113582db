"""The body of POST /v1/messages, read into a Call.

Every field is honoured, sent to Claude as it came and left out and named elsewhere (CLAUDES), or treated as
app.api.openai.extras says. Nothing that changes the meaning of a request is dropped in silence.
docs/gateway.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api import asking
from app.api.anthropic import conversation, settings, tools
from app.api.anthropic.blocks import Notes, mark_of
from app.api.auth import caller
from app.api.names import Name
from app.api.openai import extras
from app.api.openai.fields import MODEL_LIMIT, MOST_TOKENS, Number
from app.api.openai.models import Choice, Chosen
from app.api.sessions import session
from app.domain.catalog import WireFormat
from app.errors import InvalidRequest
from app.gateway.calls import Call
from app.providers.base import Dialect

#: fields that no other format has a word for
CLAUDES = frozenset(
    {"top_k", "metadata", "service_tier", "container", "mcp_servers", "context_management", "cache_control",
     "inference_geo", "speed", "diagnostics", "fallbacks", "compaction", "billing_policy",
     "user_profile_id", "workspace_id"}
)  # fmt: skip
#: in metadata.user_id
_SESSION = re.compile(r"(?<=_session_)[0-9a-fA-F-]{36}")
#: headers of the caller's that Claude gets
FORWARDED = ("anthropic-version", "anthropic-beta")
#: headers that say something of the request
HEADERS = (*FORWARDED, extras.HEADER)


class MessagesRequest(BaseModel):
    """What is honoured. `segment` and `require_parameters` are ours, as in chat completions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: Annotated[str, Field(min_length=1, max_length=MODEL_LIMIT)]
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)]
    messages: Annotated[list[Any], Field(min_length=1, max_length=100_000)]
    system: str | list[Any] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[Number, Field(ge=0, le=1)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    tools: list[Any] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    segment: Name | None = None
    require_parameters: bool | None = None


class CountRequest(MessagesRequest):
    """The same, of which only the prompt is looked at."""

    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None  # type: ignore[assignment]  # there is no answer to limit


#: what we have a word for
FIELDS = frozenset(MessagesRequest.model_fields)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood."""

    call: Call
    stream: bool
    #: does the caller want to read thoughts?
    thinks: bool
    #: what a left out effort is called here
    effort_field: str


class NoThreads(InvalidRequest):
    """The caller would have its conversation kept by Claude, where no other target can read it.

    Anthropic's SDKs know the details, and send all turns then.
    """

    details: ClassVar[Mapping[str, Any]] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def read(
    document: Mapping[str, Any],
    choose: Choice,
    headers: Mapping[str, str],
    kind: type[MessagesRequest] = MessagesRequest,
) -> Asked:
    """Raises InvalidRequest that names the field, or UnknownModel. `choose` knows the models."""
    said = {name: value for name, value in document.items() if value is not None}
    if "thread" in said:
        raise NoThreads("thread: conversations are not kept here by name: send all turns", field="thread")
    wanted = _validated(kind, {name: value for name, value in said.items() if name in FIELDS})
    chosen = choose(wanted.model)
    beside = _beside(said, chosen, headers.get(extras.HEADER), required=bool(wanted.require_parameters))
    messages, notes = conversation.read(wanted.system, wanted.messages)
    parameters = _parameters(wanted, notes)
    call = asking.call(
        chosen,
        messages,
        wanted.segment,
        parameters=parameters,
        extra=beside.passed,
        omitted=beside.omitted,
        dialect=_dialect(wanted, notes, headers),
        require_parameters=bool(wanted.require_parameters),
        session=session(_session_of(wanted.metadata)),
    )
    return Asked(
        call, bool(wanted.stream), settings.thinks(wanted.thinking), settings.effort_field(wanted.output_config)
    )


def _session_of(metadata: Mapping[str, Any] | None) -> str | None:
    """Claude Code's, as its earlier versions said it."""
    user = (metadata or {}).get("user_id")
    found = _SESSION.search(user) if isinstance(user, str) else None
    return found[0] if found else None


def _beside(said: Mapping[str, Any], chosen: Chosen, treatment: str | None, *, required: bool) -> extras.Extras:
    """Fields of Claude's, always passed on to it; and fields that nobody here knows, as the caller wants it."""
    how = extras.treatment(treatment, caller().parameters, named=chosen.provider is not None, required=required)
    mark_of(said, "cache_control")
    known = {name: value for name, value in said.items() if name in CLAUDES}
    unknown = {name: value for name, value in said.items() if name not in FIELDS and name not in CLAUDES}
    found = extras.treated(unknown, how)
    return extras.Extras(known | found.passed, found.omitted)


def _validated(kind: type[MessagesRequest], document: Mapping[str, Any]) -> MessagesRequest:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else None
        place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in FIELDS)
        raise InvalidRequest(f"{place}: {first['msg'].removeprefix('Value error, ')}", field=field) from None


def _parameters(wanted: MessagesRequest, notes: Notes) -> dict[str, Any]:
    offered = wanted.tools or []
    choice, parallel = tools.choice(wanted.tool_choice, offered)
    functions = tools.read(offered, notes)
    given: dict[str, Any] = {
        "max_tokens": wanted.max_tokens,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "stop": tuple(wanted.stop_sequences or ()) or None,
        "json_schema": settings.schema(wanted.output_config, wanted.output_format),
        "reasoning_effort": settings.effort(wanted.thinking, wanted.output_config),
        "tools": functions or None,
        "tool_choice": choice,
        "parallel_tool_calls": None if parallel or not offered else False,
    }
    return {name: value for name, value in given.items() if value is not None}


def _dialect(wanted: MessagesRequest, notes: Notes, headers: Mapping[str, str]) -> Dialect:
    config = {name: value for name, value in (wanted.output_config or {}).items() if name != "format"}
    written = {
        "tools": wanted.tools,
        "tool_choice": wanted.tool_choice if wanted.tools else None,
        "thinking": wanted.thinking,
        "output_config": config or None,
    }
    beside = [*notes.beside, *(f"output_config.{name}" for name in config if name != "effort")]
    return Dialect(
        format=WireFormat.ANTHROPIC,
        headers={name: headers[name] for name in FORWARDED if headers.get(name)},
        written={name: value for name, value in written.items() if value},
        beside=tuple(beside),
        essential=tuple(notes.essential),
    )
