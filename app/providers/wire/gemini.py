"""Gemini generateContent / streamGenerateContent. https://ai.google.dev/api/generate-content"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from app.domain.catalog import WireFormat
from app.errors import BadKey, ContentFiltered, ModelUnknown, OutOfCredit, ProviderError
from app.providers import capabilities
from app.providers.base import ChatRequest, Delta, Endpoint, Usage
from app.providers.http.sse import Event
from app.providers.wire import content, finishes, gemini_history, gemini_settings
from app.providers.wire.content import Outgoing
from app.providers.wire.draft import Draft
from app.providers.wire.lenient import Count, Many, Maybe, Reply, error_inside, reply
from app.providers.wire.problem import Problem, by_status
from app.providers.wire.spelling import GEMINI_NAMES, Names

FINISH = finishes.GEMINI
#: the model produced something that is no answer
BROKEN = {
    "OTHER",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "PUP_LIMITED_DISABLED",
}
#: the field's default: no reason at all
NO_REASON = "FINISH_REASON_UNSPECIFIED"


def build(endpoint: Endpoint, model: str, request: ChatRequest, stream: bool) -> Outgoing:
    can, names = capabilities.of(endpoint.provider, model, WireFormat.GEMINI), Names(GEMINI_NAMES)
    request = content.offered(can, request)
    document, unspoken = gemini_history.told(can, request, names)
    settings, dropped = gemini_settings.settings(can, request)
    if settings:
        document["generationConfig"] = settings
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    name = quote(model.removeprefix("models/"), safe="")
    return Outgoing(
        url=f"{endpoint.provider.base_url}/v1beta/models/{name}:{method}",
        headers={"content-type": "application/json", **auth(endpoint)},
        body=content.body(document),
        dropped=(*dropped, *unspoken, *content.optional(request)),
        names=names.back(),
    )


def auth(endpoint: Endpoint) -> dict[str, str]:
    return {"x-goog-api-key": endpoint.key} if endpoint.key else {}


def models_url(endpoint: Endpoint) -> str:
    return f"{endpoint.provider.base_url}/v1beta/models?pageSize=1000"


class _Reply(Reply):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)  # some proxies write snake_case


class _Function(_Reply):
    id: Maybe[str] = None
    name: Maybe[str] = None
    args: Maybe[dict[str, Any] | str] = None


class _Data(_Reply):
    mime_type: Maybe[str] = None
    data: Maybe[str] = None


class _Part(_Reply):
    text: Maybe[str] = None
    inline_data: Maybe[_Data] = None
    thought: Maybe[bool] = None
    function_call: Maybe[_Function] = None
    thought_signature: Maybe[str] = None


class _Content(_Reply):
    parts: Many[_Part] = None


class _Candidate(_Reply):
    content: Maybe[_Content] = None
    finish_reason: Maybe[str] = None
    index: Maybe[int] = None


class _Feedback(_Reply):
    block_reason: Maybe[str] = None


class _Usage(_Reply):
    prompt_token_count: Count = None
    tool_use_prompt_token_count: Count = None
    candidates_token_count: Count = None
    total_token_count: Count = None
    thoughts_token_count: Count = None
    cached_content_token_count: Count = None


class _Body(_Reply):
    candidates: Many[_Candidate] = None
    prompt_feedback: Maybe[_Feedback] = None
    usage_metadata: Maybe[_Usage] = None
    model_version: Maybe[str] = None
    response_id: Maybe[str] = None
    error: Any = None


#: without alt=sse, which some proxies lose, a stream is an array of its events
_BODY: TypeAdapter[_Body | list[_Body]] = TypeAdapter(_Body | list[_Body])


def read_answer(data: bytes, draft: Draft) -> None:
    for _ in _read(data, draft):
        pass


def read_event(event: Event, draft: Draft) -> Iterator[Delta]:
    return _read(event.data, draft)


def _read(data: bytes, draft: Draft) -> Iterator[Delta]:
    read = reply(_BODY, data)
    for body in read if isinstance(read, list) else (read,):
        if body.error:
            raise error_inside(data, error_class)
        yield from _body(body, draft)


def _body(body: _Body, draft: Draft) -> Iterator[Delta]:
    draft.model = body.model_version or draft.model
    draft.id = body.response_id or draft.id
    if body.usage_metadata is not None:
        draft.usage = _usage(body.usage_metadata) or draft.usage
    reason = body.prompt_feedback.block_reason if body.prompt_feedback else None
    if reason and not reason.endswith("UNSPECIFIED"):
        raise ContentFiltered(f"the provider blocked the prompt: {reason}", provider_code=reason)
    for place, candidate in enumerate(body.candidates or ()):
        if place if candidate.index is None else candidate.index:  # only the first of several answers
            continue
        for part in (candidate.content and candidate.content.parts) or ():
            yield from _said(part, draft)
        if candidate.finish_reason and candidate.finish_reason != NO_REASON:
            _finish(candidate.finish_reason, draft)


def _said(part: _Part, draft: Draft) -> Iterator[Delta]:
    if part.text:
        yield draft.think(part.text) if part.thought else draft.say(part.text)
    if part.inline_data and part.inline_data.data and not part.thought:
        url = f"data:{part.inline_data.mime_type or 'image/png'};base64,{part.inline_data.data}"
        yield draft.keep("images", [{"type": "image_url", "image_url": {"url": url}}])
    signed = {"google": {"thought_signature": part.thought_signature}} if part.thought_signature else None
    function = part.function_call
    if function is not None and function.name:
        given = function.args or {}
        written = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        if function.id and any(tool.id == function.id and tool.arguments == [written] for tool in draft.tools):
            return  # said twice
        yield draft.call(len(draft.tools), function.id or "", function.name, written, signed)
    elif signed:
        yield draft.keep("extra_content", signed)


def _finish(reason: str, draft: Draft) -> None:
    """Older models name a reason in every event, so it allows the stream to end and does not end it."""
    draft.complete = True
    draft.broken = reason if finishes.is_one(reason, BROKEN) else None
    draft.finish = finishes.finish_of(reason)


def _usage(usage: _Usage) -> Usage | None:
    """candidatesTokenCount is without the thoughts, which are billed as output too."""
    thoughts, said, prompt = usage.thoughts_token_count or 0, usage.candidates_token_count, usage.prompt_token_count
    if prompt is None or (said is None and not thoughts and usage.total_token_count is None):
        return None
    if said is None and usage.total_token_count is not None:
        said = max(0, usage.total_token_count - prompt - thoughts - (usage.tool_use_prompt_token_count or 0))
    return Usage(
        prompt=prompt + (usage.tool_use_prompt_token_count or 0),
        completion=(said or 0) + thoughts,
        reasoning=thoughts,
        cached=usage.cached_content_token_count or 0,
    )


def error_class(status: int, problem: Problem) -> type[ProviderError]:
    if problem.named("API_KEY_INVALID") or problem.says("api key not valid", "api key expired", "api key not found"):
        return BadKey
    if problem.says("unexpected model name format"):
        return ModelUnknown
    if problem.says("prepayment credits", "enable billing", "requires billing"):
        return OutOfCredit
    if problem.named("FAILED_PRECONDITION"):  # such as a location they do not serve: no request of ours will do
        return BadKey
    return by_status(status, problem)
