"""A block of providers.toml, and what has to hold of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from app.domain.catalog import WireFormat
from app.domain.targets import proxies
from app.domain.targets.capabilities import checked

T = TypeVar("T")

#: provider names become queue names, URL parts and metric labels
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]

EnvironmentName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
#: headers that frame a message, and are not for a block to say
FRAMING = {"host", "content-length", "transfer-encoding", "connection"}
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]


#: what people copy with it from a vendor's page
_ENDPOINT = re.compile(
    r"/(chat/completions|completions|messages|responses|embeddings|models)$|/models/[^/]+:[A-Za-z]+$|:(stream)?generateContent$",
    re.IGNORECASE,
)

PemPath = Annotated[str, Field(min_length=1, max_length=4096)]
#: of an error whose value may hold a secret, and is not repeated
UNSHOWN = "unshown"
ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Price(Block):
    input: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cached: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    cache_written: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class SecretBlock(Block):
    env: EnvironmentName


#: up to a day; a limit below a tenth of a second is a mistake
Limit = Annotated[int, Field(ge=100, le=86_400_000)] | None


class LimitsBlock(Block):
    first_token_ms: Limit = None
    idle_ms: Limit = None
    stream_ms: Limit = None
    plain_ms: Limit = None

    @field_validator("stream_ms")
    @classmethod
    def _holds_the_others(cls, value: int | None, info: ValidationInfo) -> int | None:
        for name in ("first_token_ms", "idle_ms"):
            part = info.data.get(name)
            if value is not None and part is not None and part > value:
                raise PydanticCustomError(
                    "limits", "the whole stream must have more time than its part {name}", {"name": name}
                )
        return value


class ProviderBlock(LimitsBlock):
    format: WireFormat
    base_url: HttpUrl
    key_env: EnvironmentName | None = None
    #: for embeddings: their names, or what the provider calls each where that is another name
    embeddings: list[ModelName] | dict[ModelName, ModelName] = Field(default_factory=list)
    #: that take a prompt to go on with, and do not chat
    completions: list[ModelName] = Field(default_factory=list)
    #: of chat
    models: Annotated[list[ModelName], Field(validate_default=True)] = Field(default_factory=list)
    #: requests that are not routed may be passed through to it
    passthrough: bool = False
    enabled: bool = True
    #: served by the lab, beside providers that are real
    simulated: bool = False
    priority: Annotated[int, Field(ge=1, le=10_000)] = 100
    timeout_ms: Annotated[int, Field(ge=100, le=3_600_000)] = 30_000
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 2
    #: of its key, over all models
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=100_000_000_000)] | None = None
    prices: dict[str, _Price] = Field(default_factory=dict)
    cost_header: str | None = None
    price_provider: str | None = None
    #: the older word for capabilities.json_schema
    json_schema: Literal["native", "tool"] | None = None
    #: over the environment's; "direct": none
    proxy: str | SecretBlock | None = None
    #: paths of PEM files, from the folder of this file on
    ca_bundle: PemPath | None = None
    client_cert: PemPath | None = None
    client_key: PemPath | None = None
    #: of every request to the provider
    headers: dict[HeaderName, HeaderValue | SecretBlock] = Field(default_factory=dict)
    query: dict[str, str] = Field(default_factory=dict)
    body: dict[str, Any] = Field(default_factory=dict)
    #: over the capability matrix: for all models of the block
    capabilities: dict[str, Any] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _is_what_endpoints_stand_behind(cls, value: HttpUrl) -> HttpUrl:
        if value.username or value.password:
            why = "user and password are not sent: say what the server wants in headers, from a variable"
            raise PydanticCustomError(UNSHOWN, "{why}", {"why": why})
        if value.query or value.fragment:
            raise PydanticCustomError("url", "nothing may stand behind its path: what every call needs goes into query")
        if found := _ENDPOINT.search((value.path or "").rstrip("/")):
            raise PydanticCustomError(
                "url", "leave {end} out: it is put behind base_url with each call", {"end": repr(found[0])}
            )
        return value

    @field_validator("embeddings")
    @classmethod
    def _has_embeddings(cls, value: T, info: ValidationInfo) -> T:
        if value and info.data.get("format") is WireFormat.ANTHROPIC:
            raise PydanticCustomError("format", 'the format "anthropic" has no embeddings')
        return value

    @field_validator("models")
    @classmethod
    def _serves_something(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if not value and not info.data.get("embeddings") and not info.data.get("completions"):
            raise PydanticCustomError("models", "a provider needs at least one model, or embeddings, or completions")
        return value

    @field_validator("proxy")
    @classmethod
    def _names_a_proxy(cls, value: T) -> T:
        if not isinstance(value, str) or value == proxies.NONE:
            return value
        try:
            found = proxies.parse(value)
        except ValueError as error:
            raise PydanticCustomError(UNSHOWN, '{why}, or "direct" for none', {"why": str(error)}) from None
        if found.user or found.password:
            why = 'a password does not belong into this file: put the URL into a variable, proxy = { env = "NAME" }'
            raise PydanticCustomError(UNSHOWN, "{why}", {"why": why})
        return value

    @field_validator("ca_bundle", "client_cert", "client_key")
    @classmethod
    def _of_tls(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("base_url")
        if value is not None and url is not None and url.scheme != "https":
            raise PydanticCustomError("tls", "only a base_url of https:// has certificates")
        if value is not None and info.field_name == "client_key" and info.data.get("client_cert") is None:
            raise PydanticCustomError("tls", "it is the key of client_cert, which is missing")
        return value

    @field_validator("headers")
    @classmethod
    def _no_framing(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := {name for name in value if name.lower() in FRAMING}:
            raise PydanticCustomError("header", "{name} is not for a block to say", {"name": min(taken)})
        return value

    @field_validator("body")
    @classmethod
    def _beside(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := {"model", "messages", "contents", "stream"} & set(value):
            raise PydanticCustomError("body", "{names} is what each request says", {"names": min(taken)})
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise PydanticCustomError("body", "{why}", {"why": str(error)}) from None
        return value

    #: … and of those whose names a pattern fits
    model_capabilities: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("capabilities")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _capabilities(value)

    @field_validator("model_capabilities")
    @classmethod
    def _known_of_models(cls, value: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        models: list[str] = info.data.get("models") or []
        for pattern in value:
            if models and not any(fnmatchcase(model, pattern) for model in models):
                raise PydanticCustomError("model", "{name} fits none of its models", {"name": repr(pattern)})
        return {pattern: _capabilities(said) for pattern, said in value.items()}

    limits: dict[str, LimitsBlock] = Field(default_factory=dict)
    #: the older word for capabilities.prefill = "continued"
    prefill: bool | list[str] = False

    @field_validator("limits", "prefill")
    @classmethod
    def _of_its_models(cls, value: T, info: ValidationInfo) -> T:
        models: list[str] | None = info.data.get("models")
        for name in value if isinstance(value, dict | list) else ():
            if models is not None and name not in models:
                raise PydanticCustomError("model", "{name} is not among its models", {"name": repr(name)})
        return value

    @field_validator("json_schema")
    @classmethod
    def _only_openai(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("format") not in (None, WireFormat.OPENAI):
            raise PydanticCustomError("format", 'only a provider of format "openai" is told how')
        return value


def _capabilities(value: dict[str, Any]) -> dict[str, Any]:
    try:
        known = checked(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise PydanticCustomError("capability", "{why}", {"why": why}) from None
    except ValueError as error:
        raise PydanticCustomError("capability", "{why}", {"why": str(error)}) from None
    return {name: getattr(known, name) for name in value}


def older_words(block: ProviderBlock) -> dict[str, Any]:
    """Capabilities that were said beside them once."""
    said: dict[str, Any] = {} if block.json_schema is None else {"json_schema": block.json_schema}
    return said | ({"prefill": "continued"} if block.prefill is True else {})


def named(embeddings: list[str] | dict[str, str]) -> dict[str, str]:
    """Models for embeddings, with what their provider calls them."""
    return embeddings if isinstance(embeddings, dict) else {name: name for name in embeddings}


def those(able: bool | list[str]) -> list[str]:
    """The models that are named."""
    return able if isinstance(able, list) else []


def notes(block: ProviderBlock) -> Iterator[str]:
    if block.json_schema is not None:
        yield f'json_schema = "{block.json_schema}" is now capabilities = {{ json_schema = "{block.json_schema}" }}'
    if block.prefill:
        where = "capabilities" if block.prefill is True else 'model_capabilities."MODEL"'
        yield f'prefill is now {where} = {{ prefill = "continued" }}'
