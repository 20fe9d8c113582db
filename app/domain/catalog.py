"""What can be called and what is asked: providers, targets and prompts, as read from config/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from app.domain.targets.limits import Limits


class TaskType(StrEnum):
    """Chooses model parameters, and the evidence to rank by."""

    DEFAULT = "default"
    CREATIVE = "creative"
    CODE = "code"
    ANALYSIS = "analysis"


class WireFormat(StrEnum):
    """The protocol a provider speaks."""

    OPENAI = "openai"  # chat completions: also DeepSeek, Ollama, vLLM, Groq, Mistral, OpenRouter…
    ANTHROPIC = "anthropic"  # Messages
    GEMINI = "gemini"  # generateContent / streamGenerateContent


class Target(NamedTuple):
    """The thing that is called: one model of one provider. A tuple, as it is the key of every table in a decision."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """`deepseek/deepseek-chat` → Target. The model may itself hold slashes; raises ValueError without one."""
        provider, slash, model = text.partition("/")
        if not (provider and slash and model):
            raise ValueError(f"a target is written provider/model, got {text!r}")
        return cls(provider, model)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float
    #: of prompt tokens read from a cache, and written to one; None: as `input`
    cached: float | None = None
    cache_written: float | None = None


class FromEnvironment(NamedTuple):
    """A secret, by the name of the variable that holds it."""

    env: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A block of config/providers.toml."""

    name: str
    format: WireFormat
    base_url: str
    #: environment variable that holds the API key; None: the provider needs none (Ollama, vLLM)
    key_env: str | None
    #: the first is the provider's default model
    models: tuple[str, ...]
    #: models for embeddings, which are no targets of chat: by their names, what the provider calls them
    embeddings: tuple[tuple[str, str], ...] = ()
    #: models that take a prompt to go on with and do not chat: no targets of chat either
    completions: tuple[str, ...] = ()
    #: requests that are not routed may be passed through to it, with its key
    passthrough: bool = False
    enabled: bool = True
    #: fallback order and tie-break, 1 is first
    priority: int = 100
    #: total deadline of one probe
    timeout_ms: int = 30_000
    #: of calls for callers; what is not said here stands in the policy
    limits: Limits = field(default_factory=Limits)
    #: … of single models, over those of the provider
    model_limits: tuple[tuple[str, Limits], ...] = ()
    #: probes in flight at once, over all workers together
    concurrency: int = 2
    #: what its key allows, for all its models together; None: its headers say, or it is learned
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    #: overrides of the price list, by model
    prices: tuple[tuple[str, Price], ...] = ()
    #: response header in which an upstream gateway states the cost of the call in USD
    #: (LiteLLM proxy: x-litellm-response-cost)
    cost_header: str | None = None
    #: where the provider stands in the price list of genai-prices, if not under its own name
    price_provider: str | None = None
    #: what the block says otherwise than the capability matrix; names and values of Capabilities
    capabilities: tuple[tuple[str, Any], ...] = ()
    #: … of the models whose names these patterns (with *) fit, over those of all; a later one over an earlier one
    model_capabilities: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] = ()
    #: what its block says in older words, and the ones to use
    notes: tuple[str, ...] = ()
    #: of every request to it
    headers: tuple[tuple[str, str | FromEnvironment], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    #: what calls to it go through, over what the environment says: http://host:port, or "direct" for none
    proxy: str | FromEnvironment | None = None
    #: PEM files: whom we trust, instead of the system's store; our own certificate, and its key where that is apart
    ca_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    #: fields of the body that a request may override
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    #: served by the lab: what is measured is simulated, and is labelled so wherever it shows
    simulated: bool = False

    def limits_of(self, model: str) -> Limits:
        for name, limits in self.model_limits:
            if name == model:
                return limits.over(self.limits)
        return self.limits

    def capabilities_of(self, model: str) -> tuple[tuple[str, Any], ...]:
        """What the block says of it."""
        mine = (said for pattern, said in self.model_capabilities if fnmatchcase(model, pattern))
        return tuple({name: value for said in (self.capabilities, *mine) for name, value in said}.items())

    def embedding(self, name: str) -> Target | None:
        """Of a model for embeddings, by its name or by what the provider calls it."""
        own = dict(self.embeddings)
        calls = own.get(name) or (name if name in own.values() else None)
        return None if calls is None else Target(self.name, calls)

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(Target(self.name, model) for model in self.models)


def nothing_real(providers: Iterable[Provider], keys: Mapping[str, str | None]) -> bool:
    """Is none of these to be called for real? `keys`: by provider name; a provider without `key_env` needs none."""
    real = [provider for provider in providers if not provider.simulated]
    return not any(provider.key_env is None or keys.get(provider.name) for provider in real)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A benchmark prompt: a block of config/prompts.toml, or a case of one's own."""

    id: str
    category: str
    task_type: TaskType
    text: str
    max_tokens: int
    #: name of the grader in app.domain.grading
    grader: str
    #: what the grader compares with; its shape belongs to the grader
    expected: object
    enabled: bool = True
    #: a line of config/cases, which no simulated provider can answer
    own: bool = False
    #: what stands before the conversation; (role, text) of what was said before `text`
    system: str | None = None
    turns: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
