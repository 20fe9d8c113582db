"""Which conversation a request belongs to, where its client says so."""

from __future__ import annotations

from app.api.headers import header

#: ours first, then those that agents send by themselves: Claude Code, Codex, OpenCode
HEADERS = ("X-Session-Id", "X-Claude-Code-Session-Id", "Session-Id", "X-Opencode-Session", "X-Session-Affinity")
#: an agent within that session, with a conversation of its own
AGENT = "X-Claude-Code-Agent-Id"


def session(prompt_cache_key: object = None) -> str | None:
    """Of its headers, else of OpenAI's `prompt_cache_key`; of any length."""
    given = next((name for each in HEADERS if (name := header(each))), None)
    if given is not None:
        return f"{given}/{header(AGENT) or ''}"
    return prompt_cache_key if isinstance(prompt_cache_key, str) and prompt_cache_key else None
