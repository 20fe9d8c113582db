"""What a model can, as the matrix (app/providers/capabilities.toml) and the provider's block say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Read off before a call: what a target lacks is left out and named, or the target is passed over."""

    vision: bool = True
    files: bool = True
    audio: bool = True
    tools: bool = True
    #: may be told to call a certain tool, or any
    forced_tool: bool = True
    #: may be told to call one tool at a time; held to it in any case
    parallel_switch: bool = True
    #: 0: no limit is known
    tool_limit: int = 0
    #: "tool": as the one tool, which has to be called
    json_schema: Literal["native", "tool", "none"] = "native"
    json_schema_beside_tools: Literal["native", "none"] = "native"
    json_object: bool = True
    json_object_beside_tools: bool = True
    #: how a reasoning_effort is said
    effort: Literal["none", "reasoning_effort", "output_config", "thinkingBudget", "thinkingLevel"] = "none"
    #: those that it knows
    efforts: tuple[str, ...] = ()
    #: "yes", "no": left out beside tools, "none": it has to be said that it shall not think
    effort_beside_tools: Literal["yes", "no", "none"] = "yes"
    #: sampling parameters that it takes
    parameters: tuple[str, ...] = ()
    #: temperature or top_p, not both
    one_of_sampling: bool = False
    max_temperature: float = 2.0
    #: what the token limit is called
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    #: tokens; 0: not known
    max_output: int = 0
    context: int = 0
    #: several answers to one request, and the log probabilities of their tokens
    n: bool = False
    logprobs: bool = False
    #: tools in the older form of OpenAI's, as it came; others get them as tools
    functions: bool = False
    service_tier: bool = False
    verbosity: bool = False
    #: may be told which of the tools it may call; others get no more than those
    allowed_tools: bool = False
    #: a last turn of the assistant's: "no": it is refused; "taken": nobody knows what comes of it; "continued": the
    #: answer goes on from its end, as the vendor documents or a block says
    prefill: Literal["no", "taken", "continued"] = "taken"
    #: such a turn is marked as the answer's beginning: `prefix: true`
    prefill_mark: Literal["none", "prefix"] = "none"
    #: the path of the base URL that takes it, where that is another one
    prefill_path: str = ""
    #: takes a prompt to go on with, and one with a suffix to fill in between
    completions: bool = False
    fim: bool = False
    #: the path of the base URL for that, where it is not its own and /completions
    completions_path: str = ""
    #: fields that it takes there beside the prompt; empty: all. "prompts": more than one text
    completion_fields: tuple[str, ...] = ()
    #: an earlier tool call needs the signature that came with it, or the documented stand-in
    signed_calls: bool = False
    #: a call can be held to the tool's schema
    strict_tools: bool = True


_CHECKED = TypeAdapter(Capabilities)


def checked(values: Mapping[str, Any]) -> Capabilities:
    """Raises pydantic's ValidationError for a value, ValueError for a name that is not one of a capability."""
    names = {each.name for each in fields(Capabilities)}
    if unknown := set(values) - names:
        raise ValueError(f"unknown capability {', '.join(sorted(unknown))}; known are: {', '.join(sorted(names))}")
    known = dict(values)
    if isinstance(prefill := known.get("prefill"), bool):  # as it was said before
        known["prefill"] = "taken" if prefill else "no"
    return _CHECKED.validate_python(known)
