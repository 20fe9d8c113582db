"""What a request needs of a target beyond text, and which of it a refusal is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from app.errors import ProviderError
from app.providers.base import Message
from app.providers.conversation import Audio, Block, File, Image, Text
from app.providers.wire.estimate import CHARACTERS_PER_TOKEN

#: kind of a block → what takes it
BLOCKS: Mapping[type[Block], str] = {Image: "vision", File: "files", Audio: "audio"}

#: what of a refusal's words is about which need; the more special first
_MENTIONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (need, re.compile(pattern, re.IGNORECASE))
    for need, pattern in (
        ("vision", r"\bimages?\b|image_url|\bvision\b|multi-?modal"),
        ("audio", r"\baudio\b|input_audio"),
        ("files", r"\bfiles?\b|\bpdf\b|\bdocuments?\b"),
        ("parallel_tool_calls", r"parallel_?\s?tool"),
        ("tool_choice", r"tool_?\s?choice|forced? tool"),
        ("reasoning_effort", r"reasoning|thinking|effort"),
        # where it is told as a tool, the tool is what is refused
        ("json_schema", r"json_?\s?schema|response_?\s?format|structured output|output_config|tool_?\s?choice"),
        ("json_mode", r"json_object|json mode|response_?\s?format"),
        ("max_tokens", r"max_?(completion_?|output_?)?tokens"),
        ("frequency_penalty", r"frequency_?penalty|penalty"),
        ("presence_penalty", r"presence_?penalty|penalty"),
        ("verbosity", r"verbosity"),
        ("service_tier", r"service_?\s?tier"),
        ("top_logprobs", r"top_?logprobs"),
        ("logprobs", r"log_?probs?\b|log probabilit"),
        ("n", r"['\"`]n['\"`]|\bn (must|should|is|has|=)|multiple (choices|completions|answers)"),
        ("allowed_tools", r"allowed_?\s?tools"),
        ("functions", r"\bfunctions\b|function_call"),
        ("temperature", r"temperature"),
        ("top_p", r"top_?p\b"),
        ("stop", r"\bstop(_sequences)?\b"),
        ("seed", r"\bseed\b"),
        ("tools", r"\btools?\b|function.?call"),
        ("prefill", r"prefill|last message|end with a user"),
        ("stream", r"\bstream"),
    )
)


def needs(messages: Iterable[Message], parameters: Mapping[str, Any], *, stream: bool) -> frozenset[str]:
    """Names of ChatRequest's fields that the caller sent, of kinds of content, and of ways to converse."""
    found = {name for name, value in parameters.items() if value is not None and value != ()}
    if stream:
        found.add("stream")
    last = None
    for message in messages:
        last = message
        if not isinstance(message.content, str):
            found.update(BLOCKS[type(block)] for block in message.content if type(block) in BLOCKS)
    if last is not None and last.role == "assistant" and not _is_paused(last):
        found.add("prefill")
    return frozenset(found)


def _is_paused(message: Message) -> bool:
    """Does it end with a tool that ran at the provider's, which goes on from there?"""
    last = message.native[-1] if message.native else {"type": "text"}
    return last.get("type") not in ("text", "thinking", "redacted_thinking")


def blamed(refusal: ProviderError, needs: frozenset[str]) -> str | None:
    """The need of the request that the refusal is about, as far as its words tell."""
    said = f"{refusal.field or ''} {refusal.message}"
    return next((need for need, words in _MENTIONS if need in needs and words.search(said)), None)


def prompt_tokens(messages: Iterable[Message]) -> float:
    """About as many, by the characters of the words: quick, and near enough for a quota."""
    return sum(map(_characters, messages)) / CHARACTERS_PER_TOKEN


def _characters(message: Message) -> int:
    if isinstance(message.content, str):
        return len(message.content)
    return sum(len(block.text) for block in message.content or () if isinstance(block, Text))
