"""The Response object: what a request repeats, what an answer gave, and how it ended."""

from __future__ import annotations

import time
from typing import Any

from app.api.openai import answer as chat
from app.api.responses import tools
from app.api.responses.output import Output, pieces
from app.api.responses.request import Asked
from app.errors import TooLooError
from app.gateway.calls import Reply
from app.providers.base import Finish, Usage

#: why an answer is not whole
_CUT = {Finish.LENGTH: "max_output_tokens", Finish.FILTER: "content_filter"}
#: codes that an error of a response may have, as the SDKs' types name them; and one that Codex knows besides
_KNOWN = {429: "rate_limit_exceeded", 400: "invalid_prompt"}
_AS_THEY_ARE = {"context_length_exceeded"}


class Draft:
    """The Response as it is known so far."""

    def __init__(self, asked: Asked, *, keeps: bool, created: int) -> None:
        self._asked = asked
        self.name = asked.call.request_id.removeprefix("req-")
        self.id = f"resp_{self.name}"
        #: it will be there afterwards, as far as is known
        self.keeps = keeps
        self._created = created
        shows = asked.shows_thoughts
        self.output = Output(self.name, asked.tools.known, keeps=keeps or shows, shows=shows)
        self._same = _repeated(asked)

    def begun(self, target: object) -> dict[str, Any]:
        return self._document(target, "in_progress", output=[])

    def answered(self, reply: Reply) -> dict[str, Any]:
        cut = _CUT.get(reply.answer.finish)
        return self._document(
            reply.target,
            "incomplete" if cut else "completed",
            incomplete_details={"reason": cut} if cut else None,
            completed_at=None if cut else int(time.time()),
            usage=usage(reply.answer.usage),
            output=self.output.shown,
            tooloo=chat.facts(reply),
        )

    def failed(self, target: object, failure: TooLooError) -> dict[str, Any]:
        self.keeps = False
        status, body = chat.problem(failure)
        code = body["error"]["code"]
        known = code if code in _AS_THEY_ARE else _KNOWN.get(status, "server_error")
        facts = {"request_id": self._asked.call.request_id, "target": str(target), "code": code}
        error = {"code": known, "message": body["error"]["message"]}
        return self._document(target, "failed", error=error, output=self.output.shown, tooloo=facts)

    def _document(self, target: object, status: str, **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": str(target),
            **self._same,
            "store": self.keeps,
            "usage": None,
            **more,
        }


def whole(draft: Draft, reply: Reply) -> dict[str, Any]:
    """Of a reply that was not streamed."""
    for delta in pieces(reply.answer):
        draft.output.add(delta)
    draft.output.end(whole=reply.answer.finish not in _CUT)
    return draft.answered(reply)


def is_cut(finish: Finish) -> bool:
    return finish in _CUT


def usage(used: Usage) -> dict[str, Any]:
    return {
        "input_tokens": used.prompt,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.cache_written},
        "output_tokens": used.completion,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.prompt + used.completion,
    }


def _repeated(asked: Asked) -> dict[str, Any]:
    """What the caller sent, and what holds where they sent nothing."""
    wanted = asked.wanted
    reasoning, text = wanted.reasoning, wanted.text
    summary = (reasoning.summary or reasoning.generate_summary) if reasoning else None
    given = text.format.model_dump(by_alias=True, exclude_none=True) if text and text.format else {"type": "text"}
    parallel = wanted.parallel_tool_calls
    return {
        "background": False,
        "instructions": wanted.instructions,
        "max_output_tokens": wanted.max_output_tokens,
        "max_tool_calls": wanted.max_tool_calls,
        "metadata": wanted.metadata or {},
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": wanted.previous_response_id,
        "prompt_cache_key": wanted.prompt_cache_key,
        "reasoning": {
            "effort": reasoning.effort if reasoning else None,
            "summary": None if summary == "none" else summary,
        },
        "safety_identifier": wanted.safety_identifier,
        "service_tier": asked.call.extra.get("service_tier", "default"),
        "temperature": wanted.temperature,
        "text": {"format": given} | ({"verbosity": text.verbosity} if text and text.verbosity else {}),
        "tool_choice": wanted.tool_choice or "auto",
        "tools": tools.listed(wanted.tools or ()),
        "top_logprobs": wanted.top_logprobs or 0,
        "top_p": wanted.top_p,
        "truncation": "disabled",
        "user": wanted.user,
    }
