"""Gemini generateContent and streamGenerateContent (recordings: see tests)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from app.lab.faults import Mistake, Refused
from app.lab.signatures import sign
from app.lab.text import tokens
from app.lab.wire import gemini_embeddings, gemini_errors, gemini_request
from app.lab.wire.base import (
    Call,
    Content,
    EmbeddingCall,
    Event,
    Finish,
    Operation,
    Place,
    Rejection,
    Stamp,
    spread,
    to_json,
)

#: models that give a call an id and their thought's signature, and want both back
_SIGNS = re.compile(r"gemini-[3-9]")
_METHOD = re.compile(r"v1(?:beta)?/models/(?P<model>[^:]+):(?P<method>generateContent|streamGenerateContent)")
_EMBED = re.compile(r"v1(?:beta)?/models/(?P<model>[^:]+):(?P<method>embedContent|batchEmbedContents)")


@dataclass(frozen=True, slots=True)
class GeminiWire:
    keep_alive: bytes = b""

    def place(self, method: str, path: str, query: Mapping[str, str]) -> Place:
        found = _METHOD.fullmatch(path)
        if found and method == "POST":
            streams = found["method"] == "streamGenerateContent"
            return Place(Operation.CHAT, found["model"], stream=streams, sse=query.get("alt") == "sse")
        embeds = _EMBED.fullmatch(path)
        if embeds and method == "POST":
            return Place(Operation.EMBED, embeds["model"], stream=embeds["method"] == "embedContent")
        if method == "GET" and path in ("v1beta/models", "v1/models"):
            return Place(Operation.MODELS)
        raise Refused(Mistake.UNKNOWN_PATH, f"{method} /{path}")

    def has_key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        return bool(headers.get("x-goog-api-key", "").strip() or query.get("key", "").strip())

    def read(self, place: Place, headers: Mapping[str, str], raw: bytes) -> Call:
        return gemini_request.read(place, raw)

    def read_embedding(self, place: Place, raw: bytes) -> EmbeddingCall:
        return gemini_embeddings.read(place, raw)

    def embeddings(self, call: EmbeddingCall, vectors: Sequence[Sequence[float]], tokens: int) -> bytes:
        return gemini_embeddings.answer(call, vectors, tokens)

    def plain(self, call: Call, content: Content, stamp: Stamp) -> bytes:
        parts = [*_thoughts(call, "".join(content.thoughts)), *_parts(call, content, stamp)]
        return to_json(_piece(call, content, stamp, parts, _said_tokens(content), last=True))

    def stream(self, call: Call, content: Content, stamp: Stamp) -> list[Event]:
        if content.tool_name:  # a function call comes whole
            pieces = [_piece(call, content, stamp, _parts(call, content, stamp), _said_tokens(content))]
        else:
            sums = accumulate(len(tokens(chunk)) for chunk in content.chunks)
            steps = zip(content.chunks, sums, strict=True)
            pieces = [_piece(call, content, stamp, [{"text": chunk}], count) for chunk, count in steps]
        thoughts = [_thoughts(call, chunk) for chunk in content.thoughts]
        pieces = [_piece(call, content, stamp, parts, 0) for parts in thoughts if parts] + pieces
        last = _piece(call, content, stamp, [{"text": ""}], _said_tokens(content), last=True)
        events = [*spread([to_json(piece) for piece in pieces]), (1.0, to_json(last))]
        return [(share, b"data: " + piece + b"\r\n\r\n") for share, piece in events] if call.sse else _array(events)

    def inside(self, call: Call, error: bytes) -> bytes:
        return b"data: " + error + b"\r\n\r\n" if call.sse else b",\r\n" + error + b"\n]\n"

    def headers(self, stamp: Stamp) -> dict[str, str]:
        return {}

    def models(self, names: Sequence[str]) -> bytes:
        methods = ["generateContent", "streamGenerateContent"]
        return to_json(
            {"models": [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in names]}
        )

    def reject(self, refused: Refused, model: str) -> Rejection:
        return gemini_errors.rejection(refused, model)


_FINISH = {
    Finish.STOP: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL: "STOP",
    Finish.FILTER: "SAFETY",
}


def _said_tokens(content: Content) -> int:
    """Gemini counts its thoughts apart."""
    return content.completion_tokens - content.reasoning_tokens


def _thoughts(call: Call, text: str) -> list[dict[str, Any]]:
    """Shown to those who ask for them."""
    config = call.parameters.get("generationConfig") or call.parameters.get("generation_config") or {}
    thinking = config.get("thinkingConfig") or config.get("thinking_config") or {}
    wanted = thinking.get("includeThoughts") or thinking.get("include_thoughts")
    return [{"text": text, "thought": True}] if text and wanted else []


def _parts(call: Call, content: Content, stamp: Stamp) -> list[dict[str, Any]]:
    if content.tool_name:
        asked = {"name": content.tool_name, "args": json.loads(content.text)}
        if _SIGNS.match(call.model):
            return [{"functionCall": {"id": stamp.letters(8), **asked}, "thoughtSignature": sign(content.text)}]
        return [{"functionCall": asked}]
    return [{"text": content.text}] if content.chunks else []


def _piece(
    call: Call, content: Content, stamp: Stamp, parts: list[dict[str, Any]], count: int, *, last: bool = False
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {**({"parts": parts} if parts else {}), "role": "model"}}
    if last:
        candidate["finishReason"] = _FINISH[content.finish]
    prompt = content.prompt_tokens
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": count, "totalTokenCount": prompt + count}
    if content.cached.read:
        usage["cachedContentTokenCount"] = content.cached.read
    details = [{"modality": "TEXT", "tokenCount": prompt}]
    if content.reasoning_tokens:
        thought = content.reasoning_tokens
        usage |= {"thoughtsTokenCount": thought, "totalTokenCount": prompt + count + thought}
    if content.finish is Finish.FILTER and not content.chunks:
        return {
            "promptFeedback": {"blockReason": "SAFETY"},
            "usageMetadata": {"promptTokenCount": prompt, "totalTokenCount": prompt, "promptTokensDetails": details},
            "modelVersion": call.model,
            "responseId": stamp.letters(23),
        }
    return {
        "candidates": [{**candidate, "index": 0}],
        "usageMetadata": {**usage, "promptTokensDetails": details},
        "modelVersion": call.model,
        "responseId": stamp.letters(23),
    }


def _array(events: list[Event]) -> list[Event]:
    """The events as one JSON array, which is what Gemini streams without alt=sse."""
    pieces = [(share, (b",\r\n" if number else b"[") + piece) for number, (share, piece) in enumerate(events)]
    return [*pieces, (1.0, b"\n]\n")]
