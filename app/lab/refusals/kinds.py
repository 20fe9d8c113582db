"""Which kind of server a provider's block means: by its name, else by the host of its base URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.domain.catalog import Provider, WireFormat
from app.lab.refusals.rule import CHAT, Kind

#: a name under which people know the vendor
_NAMES = {"moonshot": Kind.KIMI, **{kind.value: kind for kind in CHAT}}
#: the end of a host's name
_HOSTS = {
    "openai.com": Kind.OPENAI,
    "deepseek.com": Kind.DEEPSEEK,
    "mistral.ai": Kind.MISTRAL,
    "moonshot.ai": Kind.KIMI,
    "moonshot.cn": Kind.KIMI,
    "kimi.com": Kind.KIMI,
    "groq.com": Kind.GROQ,
    "googleapis.com": Kind.GEMINI_OPENAI,
    "openrouter.ai": Kind.OPENROUTER,
    "x.ai": Kind.XAI,
}


def kind_of(provider: Provider) -> Kind:
    match provider.format:
        case WireFormat.ANTHROPIC:
            return Kind.ANTHROPIC
        case WireFormat.GEMINI:
            return Kind.GEMINI
        case WireFormat.OPENAI:
            return _NAMES.get(provider.name) or _by_host(urlsplit(provider.base_url).hostname or "")


def _by_host(host: str) -> Kind:
    domain = ".".join(host.split(".")[-2:])
    return _HOSTS.get(domain, Kind.COMPATIBLE)
