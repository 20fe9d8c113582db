"""What every provider test says: an endpoint on the test's server, a plain request, a call."""

from __future__ import annotations

from typing import Any

from app.domain.catalog import Provider, WireFormat
from app.providers.base import Answer, ChatRequest, Delta, Endpoint, Message
from app.providers.client import Client

KEY = "sk-test-0123456789abcdef"
HELLO = ChatRequest(messages=(Message("user", "Hello"),))
#: what a block says of how its models are told a schema
By = tuple[tuple[str, Any], ...]
NATIVE: By = ()
BY_TOOL: By = (("json_schema", "tool"),)
#: generous: only tests of deadlines come near one
TIMEOUT_MS = 20_000


def endpoint(url: str, wire: WireFormat = WireFormat.OPENAI, **options: object) -> Endpoint:
    provider = Provider(name=wire.value, format=wire, base_url=url, key_env="A_KEY", models=("m",), **options)  # type: ignore[arg-type]  # by name
    return Endpoint(provider, KEY)


def ask(
    client: Client,
    target: Endpoint,
    request: ChatRequest = HELLO,
    *,
    stream: bool,
    model: str = "m",
    timeout_ms: int = TIMEOUT_MS,
    first_token_ms: int | None = None,
) -> tuple[Answer, list[Delta]]:
    """The answer, and the deltas it came in."""
    if not stream:
        return client.complete(target, model, request, timeout_ms=timeout_ms, first_token_ms=first_token_ms), []
    streamed = client.stream(target, model, request, timeout_ms=timeout_ms, first_token_ms=first_token_ms)
    deltas = list(streamed)
    return streamed.answer, deltas
