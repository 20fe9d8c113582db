"""OpenAI chat completions, as OpenAI, DeepSeek and the compatible APIs speak them (recordings: see tests)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.lab.faults import Mistake, Refused
from app.lab.refusals.rule import Kind
from app.lab.signatures import sign
from app.lab.wire import openai_embeddings, openai_errors, openai_request
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

#: models of Gemini's that sign their calls, and want the signature back
_SIGNS = re.compile(r"gemini-[3-9]")


#: vendors that chat and nothing else
_NO_EMBEDDINGS = {Kind.DEEPSEEK, Kind.GROQ, Kind.KIMI, Kind.XAI}


@dataclass(frozen=True, slots=True)
class OpenAIWire:
    """OpenAI's, and those of the vendors who copy it, with the ways of their own they have."""

    kind: Kind = Kind.COMPATIBLE

    @property
    def keep_alive(self) -> bytes:
        return b": keep-alive\n\n" if self.kind is Kind.DEEPSEEK else b""

    def place(self, method: str, path: str, query: Mapping[str, str]) -> Place:
        match method, path.removeprefix("v1/"):
            case "POST", "chat/completions":
                return Place(Operation.CHAT)
            case "POST", "embeddings" if self.kind not in _NO_EMBEDDINGS:
                return Place(Operation.EMBED)
            case "GET", "models":
                return Place(Operation.MODELS)
        raise Refused(Mistake.UNKNOWN_PATH, f"{method} /v1/{path.removeprefix('v1/')}")

    def has_key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and bool(key.strip())

    def read(self, place: Place, headers: Mapping[str, str], raw: bytes) -> Call:
        return openai_request.read(raw)

    def read_embedding(self, place: Place, raw: bytes) -> EmbeddingCall:
        return openai_embeddings.read(self.kind, raw)

    def embeddings(self, call: EmbeddingCall, vectors: Sequence[Sequence[float]], tokens: int) -> bytes:
        return openai_embeddings.answer(call, vectors, tokens)

    def plain(self, call: Call, content: Content, stamp: Stamp) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": content.text}
        if content.tool_name:
            message |= {"content": None, **self._called(call, content, stamp, content.text)}
        if self.kind is Kind.OPENAI:
            message["refusal"] = None
        elif content.thoughts:
            message["reasoning_content"] = "".join(content.thoughts)
        told = _logprobs(call, [content.text])
        choice = {"index": 0, "message": message, "logprobs": told, "finish_reason": _finish(call, content)}
        head = self._head(call, stamp, "chat.completion")
        return to_json(
            {
                **head,
                "choices": [choice | {"index": index} for index in range(_answers(call))],
                "usage": self._usage(content),
            }
        )

    def stream(self, call: Call, content: Content, stamp: Stamp) -> list[Event]:
        head = self._head(call, stamp, "chat.completion.chunk")
        always = self.kind is Kind.DEEPSEEK  # sends usage unasked, and with the last piece instead of after it
        blank = {"usage": None} if call.include_usage or always else {}

        def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
            told = _logprobs(call, [delta["content"]] if delta.get("content") else [])
            choice = {"index": 0, "delta": delta, "logprobs": told, "finish_reason": finish}
            several = ([choice | {"index": index}] for index in range(_answers(call)))
            return b"".join(
                b"data: " + to_json({**head, "choices": each, **blank, **more}) + b"\n\n" for each in several
            )

        last = {"usage": self._usage(content)} if always else {}
        first, *more = [event(delta) for delta in self._deltas(call, content, stamp)]
        events = [(0.0, first), *spread(more)]
        events.append((1.0, event({"content": ""} if always else {}, _finish(call, content), **last)))
        if call.include_usage and not always:
            usage = {**head, "choices": [], "usage": self._usage(content)}
            events.append((1.0, b"data: " + to_json(usage) + b"\n\n"))
        return [*events, (1.0, b"data: [DONE]\n\n")]

    def _deltas(self, call: Call, content: Content, stamp: Stamp) -> list[dict[str, Any]]:
        # OpenAI counts its thoughts and shows none
        thoughts = [{"reasoning_content": chunk} for chunk in content.thoughts] if self.kind is not Kind.OPENAI else []
        begin: dict[str, Any] = {"role": "assistant", "content": ""}
        if content.tool_name is None:
            return [begin, *thoughts, *({"content": chunk} for chunk in content.chunks)]
        asked = self._called(call, content, stamp, "", index=0)
        first = [begin, *thoughts, asked] if thoughts else [{**begin, "content": None, **asked}]
        pieces = [{"arguments": chunk} for chunk in content.chunks]
        if call.parameters.get("functions"):
            return [*first, *({"function_call": piece} for piece in pieces)]
        more = [{"tool_calls": [{"index": 0, "function": piece}]} for piece in pieces]
        return [*first, *more]

    def _called(self, call: Call, content: Content, stamp: Stamp, arguments: str, **more: Any) -> dict[str, Any]:
        if call.parameters.get("functions"):  # the older form
            return {"function_call": {"name": content.tool_name, "arguments": arguments}}
        return {"tool_calls": [self._tool_call(call, content, stamp, arguments, **more)]}

    def _tool_call(self, call: Call, content: Content, stamp: Stamp, arguments: str, **more: Any) -> dict[str, Any]:
        if self.kind is Kind.GEMINI_OPENAI and _SIGNS.search(call.model):
            more["extra_content"] = {"google": {"thought_signature": sign(content.text)}}
        name = f"call_00_{stamp.letters(24)}" if self.kind is Kind.DEEPSEEK else f"call_{stamp.letters(24)}"
        return {**more, "id": name, "type": "function", "function": {"name": content.tool_name, "arguments": arguments}}

    def _head(self, call: Call, stamp: Stamp, kind: str) -> dict[str, Any]:
        deepseek = self.kind is Kind.DEEPSEEK
        name = str(uuid.UUID(int=stamp.nonce, version=4)) if deepseek else f"chatcmpl-{stamp.letters(29)}"
        head = {"id": name, "object": kind, "created": stamp.created_s, "model": call.model}
        return {**head, "system_fingerprint": f"fp_{stamp.nonce & 0xFFFFFFFFFF:010x}"}

    def _usage(self, content: Content) -> dict[str, Any]:
        prompt, completion = content.prompt_tokens, content.completion_tokens
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        read = content.cached.read
        if self.kind is Kind.DEEPSEEK:
            cache = {"prompt_cache_hit_tokens": read, "prompt_cache_miss_tokens": prompt - read}
            thought = {"completion_tokens_details": {"reasoning_tokens": content.reasoning_tokens}}
            return {
                **usage,
                "prompt_tokens_details": {"cached_tokens": read},
                **(thought if content.thoughts else {}),
                **cache,
            }
        details = {"reasoning_tokens": content.reasoning_tokens, "audio_tokens": 0, "accepted_prediction_tokens": 0}
        return {
            **usage,
            "prompt_tokens_details": {"cached_tokens": read, "audio_tokens": 0},
            "completion_tokens_details": {**details, "rejected_prediction_tokens": 0},
        }

    def inside(self, call: Call, error: bytes) -> bytes:
        return b"data: " + error + b"\n\n"

    def headers(self, stamp: Stamp) -> dict[str, str]:
        return {"x-request-id": f"req_{stamp.nonce:032x}"} if self.kind is Kind.OPENAI else {}

    def models(self, names: Sequence[str]) -> bytes:
        data = [{"id": name, "object": "model", "created": 1735689600, "owned_by": self.kind} for name in names]
        return to_json({"object": "list", "data": data})

    def reject(self, refused: Refused, model: str) -> Rejection:
        return openai_errors.rejection(self.kind, refused, model)


def _finish(call: Call, content: Content) -> str:
    older = content.finish is Finish.TOOL and call.parameters.get("functions")
    return "function_call" if older else _FINISH[content.finish]


def _answers(call: Call) -> int:
    """All say the same."""
    wanted = call.parameters.get("n")
    return wanted if isinstance(wanted, int) and 1 < wanted <= 128 else 1


def _logprobs(call: Call, tokens: Sequence[str]) -> dict[str, Any] | None:
    if not call.parameters.get("logprobs") or not tokens:
        return None
    told = [{"token": token, "logprob": -0.1, "bytes": list(token.encode()), "top_logprobs": []} for token in tokens]
    return {"content": told, "refusal": None}


_FINISH = {
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL: "tool_calls",
    Finish.FILTER: "content_filter",
}
