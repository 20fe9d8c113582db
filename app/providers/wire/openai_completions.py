"""OpenAI's older completions, and what fills in the middle: a prompt goes on, instead of a conversation.

https://platform.openai.com/docs/api-reference/completions · https://api-docs.deepseek.com/guides/fim_completion ·
https://docs.mistral.ai/api (fim). Their answers are read by app.providers.wire.openai, chat or not.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from app.domain.catalog import WireFormat
from app.domain.targets.capabilities import Capabilities
from app.errors import Unsupported
from app.providers import capabilities
from app.providers.base import ChatRequest, Completion, Endpoint
from app.providers.wire import content
from app.providers.wire.content import Outgoing
from app.providers.wire.openai_servers import server_of

#: what a conversation has no word for
_ALONE = ("echo", "logprobs", "best_of")


def is_native(endpoint: Endpoint, model: str, request: ChatRequest) -> bool:
    """Does the request go to it as a completion? Raises Unsupported where it goes there in no way."""
    asked = request.completion
    if asked is None:
        return False
    can = capabilities.of(endpoint.provider, model)
    native = can.completions and endpoint.provider.format is WireFormat.OPENAI
    if asked.suffix is not None and not (native and can.fim):
        raise Unsupported("this model fills in no middle: it takes no suffix")
    if not isinstance(asked.prompt, str) and not (native and _takes(can, "prompts")):
        raise Unsupported("this model takes one prompt, as text")
    return native


def untold(asked: Completion) -> tuple[str, ...]:
    """What is left out where the prompt goes as a message."""
    return tuple(name for name in _ALONE if getattr(asked, name) is not None)


def build(endpoint: Endpoint, model: str, request: ChatRequest, auth: dict[str, str], *, stream: bool) -> Outgoing:
    asked, can = request.completion, capabilities.of(endpoint.provider, model)
    assert asked is not None
    given = {name: value for name, value in _fields(request, asked).items() if value is not None}
    dropped = tuple(name for name in given if not _takes(can, name))
    document: dict[str, Any] = {"model": model, "prompt": asked.prompt}
    document |= {name: value for name, value in given.items() if name not in dropped}
    if "seed" in document:
        document[server_of(endpoint.provider, model).seed] = document.pop("seed")
    document |= {name: value for name, value in request.extra.items() if name not in document}
    if stream:
        document["stream"] = True
        if _takes(can, "stream_options"):
            document["stream_options"] = {"include_usage": True}
    return Outgoing(
        url=_url(endpoint.provider.base_url, can),
        headers={"content-type": "application/json", **auth},
        body=content.body(document),
        dropped=dropped,
        completes=True,
    )


def _fields(request: ChatRequest, asked: Completion) -> dict[str, Any]:
    return {
        "suffix": asked.suffix,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "n": request.n if request.n > 1 else None,
        "echo": asked.echo,
        "logprobs": asked.logprobs,
        "best_of": asked.best_of,
    }


def _takes(can: Capabilities, field: str) -> bool:
    return not can.completion_fields or field in can.completion_fields


def _url(base_url: str, can: Capabilities) -> str:
    if not can.completions_path:
        return f"{base_url}/completions"
    return urlsplit(base_url)._replace(path=can.completions_path).geturl()
