"""Anthropic: tools, schemas and settings, and what its models refuse, by their versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals import claude
from app.lab.refusals.rule import Body, Kind, Offence, Rule, documented, of, reported

_ONLY = of(Kind.ANTHROPIC)
_MESSAGES = "https://platform.claude.com/docs/en/api/messages"
_THINKING = "https://platform.claude.com/docs/en/build-with-claude/extended-thinking"
_TOOL = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ROOT = ("oneOf", "allOf", "anyOf")
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"} | {
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
}
#: tokens a model can write, by what its name begins with; the longest that fits counts
_OUTPUT = {
    "claude-3-opus": 4_096,
    "claude-3-haiku": 4_096,
    "claude-3-5-sonnet": 8_192,
    "claude-3-5-haiku": 8_192,
    "claude-opus-4": 32_000,
    "claude-opus-4-5": 64_000,
    "claude-opus-4-6": 128_000,
    "claude-sonnet-4": 64_000,
    "claude-haiku-4": 64_000,
}
_SAMPLERS = ("temperature", "top_p", "top_k")


def _tools(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The caller's own; Anthropic's have a type and no schema."""
    for number, tool in enumerate(body.get("tools") or ()):
        if isinstance(tool, Mapping) and tool.get("type", "custom") == "custom":
            yield f"tools.{number}.custom", tool


def _tool_name(body: Body) -> Iterator[Offence]:
    for path, tool in _tools(body):
        if not _TOOL.fullmatch(str(tool.get("name"))):
            yield Offence(f"{path}.name", "{field}: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")


def _repeated_tool(body: Body) -> Iterator[Offence]:
    names = [tool["name"] for tool in body.get("tools") or () if "name" in tool]
    if len(set(names)) < len(names):
        yield Offence("", "tools: Tool names must be unique.")


def _schema_type(body: Body) -> Iterator[Offence]:
    for path, tool in _tools(body):
        schema = tool.get("input_schema")
        if not isinstance(schema, Mapping):
            yield Offence(f"{path}.input_schema", "{field}: Field required")
        elif schema.get("type") != "object":
            why = "Input should be 'object'" if "type" in schema else "Field required"
            yield Offence(f"{path}.input_schema.type", f"{{field}}: {why}")


def _schema_root(body: Body) -> Iterator[Offence]:
    for path, tool in _tools(body):
        if any(name in (tool.get("input_schema") or {}) for name in _ROOT):
            only = "input_schema does not support oneOf, allOf, or anyOf at the top level"
            yield Offence(f"{path}.input_schema", f"{{field}}: {only}")


def _sent(body: Body) -> list[str]:
    return [name for name in _SAMPLERS if body.get(name) is not None]


def _two_samplers(body: Body) -> Iterator[Offence]:
    if _sent(body)[:2] == ["temperature", "top_p"] and claude.generation(body["model"]) >= (4, 1):
        both = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        yield Offence("", both)


def _any_sampler(body: Body) -> Iterator[Offence]:
    if _sent(body) and claude.generation(body["model"]) >= (4, 7):
        yield Offence("", f"`{_sent(body)[0]}` is deprecated for this model.")


def _thinking(body: Body) -> Iterator[Offence]:
    if not claude.thinks(body):
        return
    budget = body["thinking"].get("budget_tokens") or 0
    if budget < 1024:
        least = "Input should be greater than or equal to 1024"
        yield Offence("thinking.enabled.budget_tokens", f"{{field}}: {least}")
    if "max_tokens" in body and budget >= body["max_tokens"]:
        yield Offence("max_tokens", "`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature") not in (None, 1):
        yield Offence("temperature", "`temperature` may only be set to 1 when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        yield Offence("tool_choice", "Thinking may not be enabled when tool_choice forces tool use.")


def _output_limit(body: Body) -> Iterator[Offence]:
    model, asked = body["model"], body.get("max_tokens", 0)
    fitting = [name for name in _OUTPUT if model.startswith(name)]
    if fitting and asked > (most := _OUTPUT[max(fitting, key=len)]):
        which = f"which is the maximum allowed number of output tokens for {model}"
        yield Offence("max_tokens", f"{{field}}: {asked} > {most}, {which}")


def _output_schema(body: Body) -> Iterator[Offence]:
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    for each in _schemas(schema):
        if each.get("type") == "object" and each.get("additionalProperties") is not False:
            must = "For 'object' type, 'additionalProperties' must be explicitly set to false"
            yield Offence("output_config.format.schema", f"{{field}}: {must}")
        for name in sorted(_BOUNDS & set(each)):
            not_supported = f"For '{each.get('type')}' type, property '{name}' is not supported"
            yield Offence("output_config.format.schema", f"{{field}}: {not_supported}")


def _schemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and those in it; a name of a property is none of its words."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            inside = list(value.values())
        else:
            inside = value if isinstance(value, list) else [value]
        for each in inside if key not in ("enum", "const", "default", "examples") else ():
            yield from _schemas(each)


RULES = (
    Rule(
        id="claude-tool-name",
        kinds=_ONLY,
        about="names of tools beyond letters, digits, _ and -, or over 128 characters",
        source=documented(_MESSAGES),
        check=_tool_name,
    ),
    Rule(
        id="claude-repeated-tool",
        kinds=_ONLY,
        about="two tools of one name",
        source=documented(_MESSAGES),
        check=_repeated_tool,
    ),
    Rule(
        id="claude-schema-type",
        kinds=_ONLY,
        about="a tool whose schema is not of type object",
        source=documented(f"{_MESSAGES}; router-for-me/CLIProxyAPI#4428"),
        check=_schema_type,
    ),
    Rule(
        id="claude-schema-root",
        kinds=_ONLY,
        about="a tool whose schema has anyOf, oneOf or allOf at its root",
        source=reported("anomalyco/opencode#46628, anthropics/claude-code#40075, dearlordylord/huly-mcp#66"),
        check=_schema_root,
    ),
    Rule(
        id="claude-two-samplers",
        kinds=_ONLY,
        about="temperature and top_p together, to 4.1 and later",
        source=documented("https://platform.claude.com/docs/en/about-claude/models/migrating-to-claude-4"),
        check=_two_samplers,
    ),
    Rule(
        id="claude-any-sampler",
        kinds=_ONLY,
        about="any sampling parameter, to 4.7 and later",
        source=documented("https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7"),
        check=_any_sampler,
    ),
    Rule(
        id="claude-thinking",
        kinds=_ONLY,
        about="thinking with too small a budget, one beyond max_tokens, a temperature or a forced tool",
        source=documented(_THINKING),
        check=_thinking,
    ),
    Rule(
        id="claude-output-limit",
        kinds=_ONLY,
        about="max_tokens beyond what the model can write",
        source=documented("https://platform.claude.com/docs/en/about-claude/models/overview"),
        check=_output_limit,
    ),
    Rule(
        id="claude-output-schema",
        kinds=_ONLY,
        about="output_config.format with an open object, or with bounds of numbers, lengths or sizes",
        source=documented(
            "https://platform.claude.com/docs/en/build-with-claude/structured-outputs; BerriAI/litellm#35811"
        ),
        check=_output_schema,
    ),
)
