"""The fields of a chat completion that are honoured, and what they have to be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.api.names import Name

#: characters of the longest `PROVIDER/MODEL`
MODEL_LIMIT = 300

#: more than anybody takes; how many a model takes is its own
TOOLS = 1024

Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def _whole(value: object) -> object:
    """JSON has one kind of number: 100.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: as large as any vendor reads one
Whole = Annotated[int, BeforeValidator(_whole), Field(ge=-(2**63), lt=2**63)]
#: tokens that an answer may be asked to have: no model has as many
MOST_TOKENS = 10_000_000
Tokens = Annotated[Whole, Field(ge=1, le=MOST_TOKENS)]


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


class ResponseFormat(Part):
    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


class Tool(BaseModel):
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


class Allowed(Part):
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
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(max_length=TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | _ToolChoice | Allowed | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    n: Annotated[Whole, Field(ge=1, le=128)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None
    service_tier: Text | None = None
    verbosity: Text | None = None
    functions: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None
    function_call: Literal["none", "auto"] | _ChosenFunction | None = None
    segment: Name | None = None
    #: ours: only to a target that has all that is asked
    require_parameters: bool | None = None


#: what we have a word for
FIELDS = frozenset(ChatCompletionRequest.model_fields)
