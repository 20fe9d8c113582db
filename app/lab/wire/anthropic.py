"""Anthropic Messages (recordings: see tests)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.lab.faults import Mistake, Refused
from app.lab.signatures import sign
from app.lab.wire import anthropic_errors, anthropic_request
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


@dataclass(frozen=True, slots=True)
class AnthropicWire:
    keep_alive: bytes = b""

    def place(self, method: str, path: str, query: Mapping[str, str]) -> Place:
        match method, path:
            case "POST", "v1/messages":
                return Place(Operation.CHAT)
            case "POST", "v1/messages/count_tokens":
                return Place(Operation.COUNT)
            case "GET", "v1/models":
                return Place(Operation.MODELS)
        raise Refused(Mistake.UNKNOWN_PATH)

    def has_key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        return bool(headers.get("x-api-key", "").strip() or headers.get("Authorization", "").strip())

    def read(self, place: Place, headers: Mapping[str, str], raw: bytes) -> Call:
        counts = place.operation is Operation.COUNT
        return anthropic_request.counted(headers, raw) if counts else anthropic_request.read(headers, raw)

    def read_embedding(self, place: Place, raw: bytes) -> EmbeddingCall:
        raise Refused(Mistake.UNKNOWN_PATH)

    def embeddings(self, call: EmbeddingCall, vectors: Sequence[Sequence[float]], tokens: int) -> bytes:
        raise Refused(Mistake.UNKNOWN_PATH)

    def plain(self, call: Call, content: Content, stamp: Stamp) -> bytes:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": content.text}] if content.chunks else []
        if content.tool_name:
            blocks = [_tool_use(content, stamp, json.loads(content.text))]
        if content.thoughts:
            thought = "".join(content.thoughts)
            blocks.insert(0, {"type": "thinking", "thinking": thought, "signature": sign(thought)})
        message = _message(call, content, stamp, content.completion_tokens)
        return to_json({**message, "content": blocks, **_stopped(content)})

    def stream(self, call: Call, content: Content, stamp: Stamp) -> list[Event]:
        begin = [_event("message_start", message=_message(call, content, stamp, min(1, content.completion_tokens)))]
        blocks: list[list[bytes]] = []
        if content.thoughts:
            thinking = {"type": "thinking", "thinking": "", "signature": ""}
            signature = sign("".join(content.thoughts))
            pieces = [{"type": "thinking_delta", "thinking": chunk} for chunk in content.thoughts]
            blocks.append(_block(0, thinking, [*pieces, {"type": "signature_delta", "signature": signature}]))
        if content.chunks:
            block = _tool_use(content, stamp, {}) if content.tool_name else {"type": "text", "text": ""}
            kind, key = ("input_json_delta", "partial_json") if content.tool_name else ("text_delta", "text")
            blocks.append(_block(len(blocks), block, [{"type": kind, key: chunk} for chunk in content.chunks]))
        # a block begins with what comes before it and ends with the message, so that no event stands between pieces
        deltas = [event for block in blocks for event in block]
        if deltas:
            begin.append(deltas.pop(0))
        end = [deltas.pop()] if deltas else []
        told = {name: count for name, count in _prompt_usage(content).items() if isinstance(count, int)}
        usage = {**told, "output_tokens": content.completion_tokens}
        end += [_event("message_delta", delta=_stopped(content), usage=usage), _event("message_stop")]
        return [
            (0.0, b"".join([*begin, b'event: ping\ndata: {"type": "ping"}\n\n'])),
            *spread(deltas),
            (1.0, b"".join(end)),
        ]

    def inside(self, call: Call, error: bytes) -> bytes:
        return b"event: error\ndata: " + error + b"\n\n"

    def headers(self, stamp: Stamp) -> dict[str, str]:
        return {"request-id": f"req_{stamp.letters(24)}"}

    def models(self, names: Sequence[str]) -> bytes:
        since = "2025-01-01T00:00:00Z"
        data = [{"type": "model", "id": name, "display_name": name, "created_at": since} for name in names]
        return to_json({"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]})

    def reject(self, refused: Refused, model: str) -> Rejection:
        return anthropic_errors.rejection(refused, model)


_STOP_REASON = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL: "tool_use",
    Finish.FILTER: "refusal",
}


def _block(index: int, begins: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
    return [
        _event("content_block_start", index=index, content_block=begins),
        *(_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        _event("content_block_stop", index=index),
    ]


def _tool_use(content: Content, stamp: Stamp, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_01{stamp.letters(22)}", "name": content.tool_name, "input": arguments}


def _message(call: Call, content: Content, stamp: Stamp, output_tokens: int) -> dict[str, Any]:
    usage = {**_prompt_usage(content), "output_tokens": output_tokens}
    return {
        "model": call.model,
        "id": f"msg_01{stamp.letters(22)}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "service_tier": "standard"},
    }


def _prompt_usage(content: Content) -> dict[str, Any]:
    """`input_tokens` is what is neither read from the cache nor written to it."""
    cached = content.cached
    by_time = {
        "ephemeral_5m_input_tokens": cached.written - cached.hour,
        "ephemeral_1h_input_tokens": cached.hour,
    }
    return {
        "input_tokens": content.prompt_tokens - cached.read - cached.written,
        "cache_creation_input_tokens": cached.written,
        "cache_read_input_tokens": cached.read,
        "cache_creation": by_time,
    }


def _stopped(content: Content) -> dict[str, Any]:
    reason = "stop_sequence" if content.stop_sequence else _STOP_REASON[content.finish]
    return {"stop_reason": reason, "stop_sequence": content.stop_sequence}


def _event(kind: str, **more: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + to_json({"type": kind, **more}) + b"\n\n"
