"""An OpenAI chat completions request, checked as the provider checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.lab.faults import Mistake, Refused
from app.lab.wire.base import Call, Tool, offered, parameters, validated


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Part(_Open):
    type: str
    text: str = ""


class _Message(_Open):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class _Function(_Open):
    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class _Tool(_Open):
    type: Literal["function"]
    function: _Function


class _StreamOptions(_Open):
    include_usage: bool = False


class _Body(_Open):
    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _Tool | None = None
    functions: list[_Function] | None = None
    function_call: Literal["none", "auto"] | _Function | None = None
    response_format: dict[str, Any] | None = None


def read(raw: bytes) -> Call:
    """The body as a Call. Raises Refused where its basic shape is wrong; what else vendors refuse: app/lab/refusals."""
    body = validated(_Body, raw)
    users = [message.text for message in body.messages if message.role == "user"]
    return Call(
        model=body.model,
        prompt=users[-1] if users else body.messages[-1].text,
        conversation="\n".join(message.text for message in body.messages),
        parameters=parameters(raw, without=("messages", "tools")),
        stream=bool(body.stream),
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        must_call=_must_call(body),
        may_call=offered(
            _tools(body),
            free=body.tool_choice in (None, "auto") and body.function_call in (None, "auto"),
            answered=body.messages[-1].role in ("tool", "function"),
        ),
        json_schema=_json_schema(body.response_format),
    )


def _tools(body: _Body) -> dict[str, Tool]:
    functions = [*(tool.function for tool in body.tools or ()), *(body.functions or ())]
    return {function.name: Tool(function.name, function.parameters) for function in functions}


def _must_call(body: _Body) -> Tool | None:
    tools = _tools(body)
    if isinstance(body.tool_choice, _Tool):
        name = body.tool_choice.function.name
        if name not in tools:
            raise Refused(
                Mistake.INVALID_VALUE, f"Tool choice '{name}' not found in 'tools' parameter", field="tool_choice"
            )
        return tools[name]
    if isinstance(body.function_call, _Function):
        return tools.get(body.function_call.name)
    if body.tool_choice == "required":
        if not tools:
            raise Refused(
                Mistake.INVALID_VALUE, "'tool_choice' is only allowed when 'tools' are specified", field="tool_choice"
            )
        return next(iter(tools.values()))
    return None


def _json_schema(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
        case {"type": "json_object"}:
            return {}
    return None
