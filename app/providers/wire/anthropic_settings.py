"""Settings of a request to Claude: what is sent, and what is not, by what the model can.

https://platform.claude.com/docs/en/build-with-claude/effort · …/structured-outputs · …/thinking-troubleshooting
"""

from __future__ import annotations

from typing import Any

from app.domain.targets.capabilities import Capabilities
from app.providers.base import ChatRequest
from app.providers.wire import anthropic_native, content


def by_tool(can: Capabilities, request: ChatRequest) -> bool:
    """Is a schema told as a tool, which every model takes that takes a forced one, and any schema?

    The API's own way takes less of JSON Schema, but stands beside tools.
    """
    has_own_way = can.json_schema_beside_tools == "native"
    return can.json_schema == "tool" and not (has_own_way and (request.tools or anthropic_native.speaks(request)))


def settings(can: Capabilities, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings, and the names of those the model has not."""
    sampling, dropped = _sampling(can, request)
    output, lacking = _output(can, request)
    if "top_k" in anthropic_native.fields(request) and "temperature" not in can.parameters:
        dropped = ("top_k", *dropped)
    return sampling | output, (*dropped, *lacking)


def _sampling(can: Capabilities, request: ChatRequest) -> tuple[dict[str, float], tuple[str, ...]]:
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
    if lacks := [name for name in sent if name not in can.parameters]:
        refused = lacks
    elif sent.get("temperature", 0) > can.max_temperature:
        refused = ["temperature"]  # its default is the maximum, so leaving it out comes closest
    else:
        # our own default gives way to what the caller said
        refused = [] if len(sent) < 2 or not can.one_of_sampling else ["temperature"] if own == ["top_p"] else ["top_p"]
    return {name: value for name, value in sent.items() if name not in refused}, (*refused, *dropped)


def _output(can: Capabilities, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema where it is not told as a tool, the effort, and what of them is not sent."""
    config = anthropic_native.output_config(request)
    dropped: tuple[str, ...] = ()
    if request.json_schema is not None:
        config["format"] = {"type": "json_schema", "schema": content.described_schema(request.json_schema)}
    # who speaks Claude's dialect says by `thinking` how much it shall think
    effort = config.pop("effort", None) if anthropic_native.speaks(request) else request.reasoning_effort
    if effort is not None:
        if can.effort == "none" or effort not in can.efforts:
            dropped = ("reasoning_effort",)
        else:
            config["effort"] = effort
    return ({"output_config": config} if config else {}), dropped
