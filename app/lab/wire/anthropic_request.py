"""An Anthropic Messages request, checked as the provider checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.lab.faults import Mistake, Refused
from app.lab.refusals import claude
from app.lab.wire.base import Call, Tool, offered, parameters, validated

#: the first generation of models for which nobody can force a tool
_NO_FORCED_TOOL = (5, 1)
#: version of the API that knows no samplers, whatever the model
_WITHOUT_SAMPLERS = "2026-10-21"


class _Block(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: str
    text: str = ""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    content: str | list[_Block]

    @property
    def text(self) -> str:
        return _text(self.content)

    @property
    def holds_result(self) -> bool:
        return isinstance(self.content, list) and any(block.type == "tool_result" for block in self.content)


class _Tool(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str = ""  # a set of tools has none
    input_schema: dict[str, Any] = Field(default_factory=dict)


class _ToolChoice(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""


class _Format(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    type: Literal["json_schema"]
    json_schema: Annotated[dict[str, Any], Field(alias="schema")]


class _OutputConfig(BaseModel):
    model_config = ConfigDict(extra="allow")

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _Format | None = None


class _Prompt(BaseModel):
    """What says how long the prompt is. Anthropic refuses every key it does not know."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_Message], Field(min_length=1)]
    system: str | list[_Block] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: Any = None
    cache_control: Any = None
    context_management: Any = None
    mcp_servers: Any = None
    output_config: _OutputConfig | None = None
    speed: Any = None


class _Body(_Prompt):
    max_tokens: Annotated[int, Field(ge=1)]
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    stream: bool = False
    metadata: Any = None
    service_tier: Any = None
    container: Any = None
    output_format: Any = None
    inference_geo: Any = None
    diagnostics: Any = None
    user_profile_id: Any = None
    workspace_id: Any = None


def counted(headers: Mapping[str, str], raw: bytes) -> Call:
    """The prompt whose tokens are asked for."""
    _refuse_no_version(headers)
    body = validated(_Prompt, raw)
    return Call(
        model=body.model,
        prompt=_prompt(body),
        conversation=_conversation(body),
        parameters=parameters(raw, without=("messages", "tools", "system")),
    )


def read(headers: Mapping[str, str], raw: bytes) -> Call:
    _refuse_no_version(headers)
    body = validated(_Body, raw)
    _refuse_samplers(body, headers["anthropic-version"])
    return Call(
        model=body.model,
        prompt=_prompt(body),
        conversation=_conversation(body),
        parameters=parameters(raw, without=("messages", "tools", "system")),
        stream=body.stream,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        stop=tuple(body.stop_sequences or ()),
        must_call=_must_call(body),
        may_call=offered(
            _tools(body),
            free=body.tool_choice is None or body.tool_choice.type == "auto",
            answered=body.messages[-1].holds_result,
        ),
        json_schema=body.output_config.format.json_schema if body.output_config and body.output_config.format else None,
    )


def _refuse_no_version(headers: Mapping[str, str]) -> None:
    if not headers.get("anthropic-version"):
        raise Refused(Mistake.INVALID_VALUE, "header is required", field="anthropic-version")


def _prompt(body: _Prompt) -> str:
    users = [message.text for message in body.messages if message.role == "user"]
    return next((text for text in reversed(users) if text), "")


def _conversation(body: _Prompt) -> str:
    return "\n".join([_text(body.system or ""), *(message.text for message in body.messages)])


def _text(content: str | list[_Block]) -> str:
    return content if isinstance(content, str) else "\n".join(block.text for block in content if block.text)


def _tools(body: _Body) -> dict[str, Tool]:
    return {tool.name: Tool(tool.name, tool.input_schema) for tool in body.tools or ()}


def _must_call(body: _Body) -> Tool | None:
    tools = _tools(body)
    choice = body.tool_choice
    if choice is None or choice.type in ("auto", "none"):
        return None
    if claude.generation(body.model) >= _NO_FORCED_TOOL:
        raise Refused(Mistake.INVALID_VALUE, f'"{choice.type}" is not supported for this model', field="tool_choice")
    if not tools or (choice.type == "tool" and choice.name not in tools):
        raise Refused(Mistake.INVALID_VALUE, f"Tool '{choice.name}' not found in provided tools", field="tool_choice")
    return tools[choice.name] if choice.type == "tool" else next(iter(tools.values()))


def _refuse_samplers(body: _Body, version: str) -> None:
    sent = [name for name in ("temperature", "top_p", "top_k") if getattr(body, name) is not None]
    if sent and version >= _WITHOUT_SAMPLERS:
        raise Refused(Mistake.UNKNOWN_FIELD, field=sent[0])
