"""A Gemini generateContent request, checked as the provider checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.lab.faults import Mistake, Refused
from app.lab.wire.base import Call, Place, Tool, offered, parameters, validated


class _Camel(BaseModel):
    """Protobuf JSON takes lowerCamelCase and the original snake_case, and refuses every name it does not know."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")

    text: str = ""


class _Content(_Camel):
    role: Literal["user", "model", "function"] = "user"
    parts: list[_Part] = Field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.text)

    @property
    def holds_result(self) -> bool:
        names = {name for part in self.parts for name in part.model_extra or ()}
        return not names.isdisjoint({"functionResponse", "function_response"})


class _GenerationConfig(_Camel):
    stop_sequences: list[str] = Field(default_factory=list)
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    response_modalities: Any = None
    candidate_count: int | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: float | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, Field(ge=-2, lt=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, lt=2)] | None = None
    response_logprobs: Any = None
    logprobs: Any = None
    enable_enhanced_civic_answers: Any = None
    speech_config: Any = None
    thinking_config: Any = None
    image_config: Any = None
    media_resolution: Any = None


class _Function(BaseModel):
    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)

    name: str
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class _Tool(BaseModel):
    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)

    function_declarations: list[_Function] = Field(default_factory=list)


class _FunctionCalling(_Camel):
    mode: str = "AUTO"
    allowed_function_names: list[str] = Field(default_factory=list)


class _ToolConfig(_Camel):
    function_calling_config: _FunctionCalling = Field(default_factory=_FunctionCalling)
    retrieval_config: Any = None


class _Body(_Camel):
    contents: Annotated[list[_Content], Field(min_length=1)]
    system_instruction: _Content | None = None
    generation_config: _GenerationConfig = Field(default_factory=_GenerationConfig)
    tools: list[_Tool] = Field(default_factory=list)
    tool_config: _ToolConfig = Field(default_factory=_ToolConfig)
    safety_settings: Any = None
    cached_content: Any = None
    labels: Any = None
    service_tier: Any = None


def read(place: Place, raw: bytes) -> Call:
    body = validated(_Body, raw)
    users = [content.text for content in body.contents if content.role == "user" and content.text]
    config = body.generation_config
    system = [body.system_instruction.text] if body.system_instruction else []
    return Call(
        model=place.model,
        prompt=users[-1] if users else "",
        conversation="\n".join([*system, *(content.text for content in body.contents)]),
        parameters=parameters(raw, without=("contents", "tools", "systemInstruction", "system_instruction")),
        stream=place.stream,
        sse=place.sse,
        max_tokens=config.max_output_tokens,
        temperature=config.temperature,
        stop=tuple(config.stop_sequences),
        must_call=_must_call(body),
        may_call=offered(
            {tool.name: tool for tool in _tools(body)},
            free=body.tool_config.function_calling_config.mode.upper() in ("AUTO", "MODE_UNSPECIFIED"),
            answered=body.contents[-1].holds_result,
        ),
        json_schema=_json_schema(config),
    )


def _tools(body: _Body) -> list[Tool]:
    return [
        Tool(function.name, function.parameters or function.parameters_json_schema or {"type": "object"})
        for tool in body.tools
        for function in tool.function_declarations
    ]


def _must_call(body: _Body) -> Tool | None:
    wanted = body.tool_config.function_calling_config
    if wanted.mode.upper() != "ANY":
        return None
    for tool in _tools(body):
        if not wanted.allowed_function_names or tool.name in wanted.allowed_function_names:
            return tool
    why = "Function calling mode is ANY, but no function declaration is allowed"
    raise Refused(Mistake.INVALID_VALUE, why, field="tool_config.function_calling_config")


def _json_schema(config: _GenerationConfig) -> Mapping[str, Any] | None:
    if config.response_mime_type != "application/json":
        return None
    return config.response_schema or config.response_json_schema or {}
