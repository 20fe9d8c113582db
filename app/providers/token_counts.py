"""Tokens of a prompt, before it is sent: by Claude's own count, or estimated."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import TypeAdapter

from app.errors import UnusableAnswer
from app.providers import own
from app.providers.base import ChatRequest, Endpoint, Message
from app.providers.conversation import Block, File, Image
from app.providers.exchange import without_key
from app.providers.http import framing
from app.providers.http.clock import Call
from app.providers.http.connections import Pool
from app.providers.wire import anthropic, media, problem
from app.providers.wire.draft import Draft
from app.providers.wire.estimate import CHARACTERS_PER_TOKEN
from app.providers.wire.lenient import Count, Reply, reply

#: of an image, which Claude scales down to that many at the most
IMAGE_TOKENS = 1_600
#: of base64 in a document for one token of its text, as PDFs of text have it
DOCUMENT_CHARACTERS = 40


class _Counted(Reply):
    input_tokens: Count = None


_COUNTED = TypeAdapter(_Counted)


def counted(pool: Pool, endpoint: Endpoint, model: str, request: ChatRequest, *, timeout_ms: int) -> int:
    """Asks a provider of Anthropic's format. Raises a ProviderError."""
    outgoing = own.added(endpoint, anthropic.count(endpoint, model, request))
    call = Call(timeout_ms)
    response = framing.send(pool, call, "POST", outgoing.url, outgoing.headers, outgoing.body, endpoint.way)
    body = b"".join(response.pieces())
    if not 200 <= response.status < 300:
        found = problem.read(body)
        kind = anthropic.error_class(response.status, found)
        refusal = problem.raised(kind, response.status, found, response.headers, datetime.now(UTC))
        refusal.args = tuple(without_key(str(part), endpoint.key) for part in refusal.args)
        raise refusal
    tokens = reply(_COUNTED, body).input_tokens
    if tokens is None:
        raise UnusableAnswer("the answer says no number of tokens")
    return tokens


def estimated(request: ChatRequest) -> int:
    """By characters; images at the most that one costs."""
    blocks = [block for message in request.messages for block in _blocks(message)]
    return Draft().usage_of(request).prompt + sum(map(_of_block, blocks))


def _blocks(message: Message) -> tuple[Block, ...]:
    return message.content if isinstance(message.content, tuple) else ()


def _of_block(block: Block) -> int:
    match block:
        case Image():
            return IMAGE_TOKENS
        case File() if media.is_inline(block.url):
            per_token = CHARACTERS_PER_TOKEN if block.url.startswith("data:text") else DOCUMENT_CHARACTERS
            return len(block.url) // per_token
        case File():
            return IMAGE_TOKENS
        case _:
            return 0
