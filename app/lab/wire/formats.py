"""The table of wire formats: a provider's block of providers.toml says which one the lab speaks for it."""

from __future__ import annotations

from app.domain.catalog import Provider, WireFormat
from app.lab.wire.anthropic import AnthropicWire
from app.lab.wire.base import Wire
from app.lab.wire.gemini import GeminiWire
from app.lab.wire.openai import OpenAIWire

#: providers whose OpenAI format has ways of its own
_DIALECTS = ("openai", "deepseek")


def wire_of(provider: Provider) -> Wire:
    match provider.format:
        case WireFormat.OPENAI:
            return OpenAIWire(provider.name if provider.name in _DIALECTS else "compatible")
        case WireFormat.ANTHROPIC:
            return AnthropicWire()
        case WireFormat.GEMINI:
            return GeminiWire()
