"""How servers of the OpenAI format differ in the histories they take, by host, provider's name and model's name.

What nobody else invented goes to all of them; what one vendor alone knows goes to that vendor. A server that is not
named here is taken for one that looks at what it knows and passes over the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import urlsplit

from app.domain.catalog import Provider
from app.providers.wire.spelling import MISTRAL_IDS, OPENAI_IDS, Alphabet


@dataclass(frozen=True, slots=True)
class Server:
    #: it knows the role developer, a turn's `refusal`, and `name`
    is_openai: bool = False
    ids: Alphabet = OPENAI_IDS
    #: the field in which it takes back what the assistant thought; None: it refuses one
    reasoning: str | None = "reasoning_content"
    #: while it thinks it refuses an assistant's turn without it, beside tools
    wants_reasoning: bool = False
    #: fields that only those know who gave them, and that it takes back
    keeps: frozenset[str] = frozenset({"reasoning_details"})
    #: it takes `name` in a turn
    names: bool = True
    #: … without these characters
    unspeakable: re.Pattern[str] | None = None
    #: it wants the last word from the user or a tool, or marked as the beginning of the answer
    answers_users: bool = False
    #: it refuses a tool's schema with alternatives at its root
    folds: bool = False
    #: it refuses fields that it does not know
    is_strict: bool = False
    #: what it calls the seed
    seed: str = "seed"
    #: fields that change nothing of the answer, and that it has
    hints: frozenset[str] = frozenset()
    #: it refuses an array in a tool's schema that does not say of what
    itemizes: bool = False


#: who of the caller's asks
USER = frozenset({"user"})

_PLAIN = Server(reasoning=None, keeps=frozenset(), folds=True, is_strict=True)
_OPENAI = replace(_PLAIN, unspeakable=re.compile(r"[\s<|\\/>]+"), is_openai=True, itemizes=True, hints=USER)

#: a vendor's name, as its provider's name and in its host → what its servers take
_VENDORS: dict[str, Server] = {
    "openai": replace(
        _OPENAI,
        hints=frozenset(
            {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata", "prediction"}
        ),
    ),
    "azure": replace(_OPENAI, unspeakable=re.compile(r"[^a-zA-Z0-9_-]+")),
    "deepseek": Server(keeps=frozenset(), folds=True),
    "mistral": replace(_PLAIN, names=False, seed="random_seed"),
    # "property 'reasoning_content' is unsupported"
    "groq": replace(_PLAIN, reasoning="reasoning", names=False, hints=USER),
    "xai": Server(hints=USER),
    "openrouter": Server(reasoning="reasoning", keeps=frozenset({"reasoning_details", "cache_control"}), hints=USER),
    "google": replace(_PLAIN, names=False, itemizes=True),
    "gemini": replace(_PLAIN, names=False, itemizes=True),
    # Alibaba's: explicit caching by Anthropic's marks
    "dashscope": Server(keeps=frozenset({"cache_control"})),
}
_HOSTS = {
    "openai": re.compile(r"(^|\.)openai\.com$"),
    "azure": re.compile(r"\.(openai|cognitiveservices)\.azure\.com$"),
    "deepseek": re.compile(r"(^|\.)deepseek\.com$"),
    "mistral": re.compile(r"(^|\.)mistral\.ai$"),
    "groq": re.compile(r"(^|\.)groq\.com$"),
    "openrouter": re.compile(r"(^|\.)openrouter\.ai$"),
    "xai": re.compile(r"(^|\.)x\.ai$"),
    "google": re.compile(r"(^|\.)googleapis\.com$"),
    "dashscope": re.compile(r"(^|\.)dashscope[^.]*\.aliyuncs\.com$"),
}

#: models of Mistral's, wherever they run: they take no other ids, and no field of others
_MISTRAL = re.compile(
    r"(^|/)(mistral|ministral|magistral|mixtral|codestral|devstral|pixtral|voxtral|labs-mistral)", re.I
)
#: they think, and refuse the turn of a tool call that does not say what
_THINKING = re.compile(r"(^|/)(deepseek-(reasoner|v[4-9])|kimi-k2(\.\d)?-thinking|kimi-k2\.[5-9])", re.I)
#: Google's own names: an OpenRouter has `google/` before it, and its own way to keep what they think
_GEMINI = re.compile(r"^(models/)?gemini-", re.I)


def server_of(provider: Provider, model: str) -> Server:
    return _server(provider.name, provider.base_url, model)


@lru_cache(maxsize=1024)
def _server(name: str, base_url: str, model: str) -> Server:
    server = _VENDORS.get(_vendor(name, base_url), Server())
    if _MISTRAL.search(model):
        server = replace(server, ids=MISTRAL_IDS, reasoning=None, keeps=frozenset(), names=False, answers_users=True)
    if _THINKING.search(model) and server.reasoning:
        server = replace(server, wants_reasoning=True)
    if _GEMINI.match(model) and not server.is_openai:
        server = replace(server, keeps=server.keeps | {"extra_content"})
    return server


def _vendor(name: str, base_url: str) -> str:
    host = urlsplit(base_url).hostname or ""
    known = next((vendor for vendor, pattern in _HOSTS.items() if pattern.search(host)), None)
    return known or name.lower()
