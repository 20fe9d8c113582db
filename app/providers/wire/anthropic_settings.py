"""Settings of a request to Claude: what is sent, and what is not, by the version in the model's name.

A name without one is taken for the oldest.

https://platform.claude.com/docs/en/build-with-claude/effort · …/structured-outputs · …/thinking-troubleshooting
"""

from __future__ import annotations

import re
from typing import Any

from app.providers.base import ChatRequest
from app.providers.wire import content

#: the highest temperature it knows, and its default
MAX_TEMPERATURE = 1.0
#: the first models that refuse sampling parameters (Opus 4.7, Sonnet 5)
FIXED_SAMPLING = (4, 7)
#: the first that can be held to a JSON schema as such (output_config.format)
SCHEMAS = (4, 5)
#: the first that refuse a forced tool (Fable 5.1, then all of 5.5): there is no other way to a JSON schema than theirs
NO_FORCED_TOOL = (5, 1)
#: the first that take output_config.effort; of those before them Opus 4.5 alone
EFFORT = (4, 6)
EFFORTS = ("low", "medium", "high")
#: the first that know one more
XHIGH = (4, 7)

#: the API demands a token limit; where the caller names none it is all that the model can write, from this version on
MAX_OUTPUT = {(4, 6): 128_000, (4, 2): 64_000, (4, 0): 64_000, (3, 7): 64_000, (3, 5): 8192, (0, 0): 4096}
#: … but for these
MAX_OUTPUT_OF = {r"opus-4(?!-[2-9])(?!\.[2-9])": 32_000}

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2}))?(?!\d)")


def max_output(model: str) -> int:
    """The most tokens that the model writes."""
    own = next((most for name, most in MAX_OUTPUT_OF.items() if re.search(name, model)), None)
    return own or next(most for version, most in MAX_OUTPUT.items() if _version(model) >= version)


def by_tool(model: str, request: ChatRequest) -> bool:
    """Is a schema told as a tool, which every model takes that takes a forced one, and any schema?

    The API's own way takes less of JSON Schema, but stands beside tools.
    """
    version = _version(model)
    return version < NO_FORCED_TOOL and not (request.tools and version >= SCHEMAS)


def settings(model: str, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings, and the names of those the model has not."""
    sampling, dropped = _sampling(model, request)
    output, lacking = _output(model, request)
    return sampling | output, (*dropped, *lacking)


def _sampling(model: str, request: ChatRequest) -> tuple[dict[str, float], tuple[str, ...]]:
    """What is sent, and what is not: newer models refuse top_p beside temperature, the newest both."""
    lacking = {
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "seed": request.seed is not None,
        "json_mode": request.json_mode,
    }
    dropped = [name for name, asked in lacking.items() if asked]
    wanted = {"temperature": request.temperature, "top_p": request.top_p}
    sent = {name: value for name, value in wanted.items() if value is not None}
    own = [name for name in sent if name not in request.defaults]
    if _version(model) >= FIXED_SAMPLING:
        refused = list(sent)
    elif sent.get("temperature", 0) > MAX_TEMPERATURE:
        refused = ["temperature"]  # its default is the maximum, so leaving it out comes closest
    else:
        # our own default gives way to what the caller said
        refused = [] if len(sent) < 2 else ["temperature"] if own == ["top_p"] else ["top_p"]
    return {name: value for name, value in sent.items() if name not in refused}, (*refused, *dropped)


def _output(model: str, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema where it is not told as a tool, the effort, and what of them is not sent."""
    config: dict[str, Any] = {}
    dropped: tuple[str, ...] = ()
    if request.json_schema is not None:
        config["format"] = {"type": "json_schema", "schema": content.described_schema(request.json_schema)}
    if request.reasoning_effort is not None:
        effort = _effort(model, request.reasoning_effort)
        if effort is None:
            dropped = ("reasoning_effort",)
        else:
            config["effort"] = effort
    return ({"output_config": config} if config else {}), dropped


def _effort(model: str, wanted: str) -> str | None:
    """For output_config.effort; None: this model has none such."""
    version = _version(model)
    if wanted == "xhigh":
        return wanted if version >= XHIGH else None
    takes_it = version >= EFFORT or (version == (4, 5) and "opus" in model)
    return wanted if takes_it and wanted in EFFORTS else None


def _version(model: str) -> tuple[int, int]:
    found = _VERSION.search(model)
    return (0, 0) if found is None else (int(found[1]), int(found[2] or 0))
