"""The table of wire formats: which one the lab speaks for a kind of server."""

from __future__ import annotations

from app.lab.refusals.rule import Kind
from app.lab.wire.anthropic import AnthropicWire
from app.lab.wire.base import Wire
from app.lab.wire.gemini import GeminiWire
from app.lab.wire.openai import OpenAIWire


def wire_of(kind: Kind) -> Wire:
    match kind:
        case Kind.ANTHROPIC:
            return AnthropicWire()
        case Kind.GEMINI:
            return GeminiWire()
    return OpenAIWire(kind)
