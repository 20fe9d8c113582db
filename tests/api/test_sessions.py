"""Which conversation a request belongs to, as the clients of today say it."""

from __future__ import annotations

import pytest
from flask import Flask

from app.api.sessions import session


@pytest.mark.parametrize(
    ("headers", "cache_key", "named"),
    [
        ({}, None, None),
        ({}, "", None),
        ({}, 5, None),
        ({}, "thread-7", "thread-7"),
        ({"X-Session-Id": "mine"}, "thread-7", "mine/"),
        ({"X-Session-Id": "mine", "X-Claude-Code-Session-Id": "theirs"}, None, "mine/"),
        ({"X-Claude-Code-Session-Id": "c"}, None, "c/"),
        # an agent within the session has a conversation, and so a cache, of its own
        ({"X-Claude-Code-Session-Id": "c", "X-Claude-Code-Agent-Id": "a1"}, None, "c/a1"),
        ({"session-id": "codex"}, None, "codex/"),
        ({"session_id": "older codex"}, None, "older codex/"),
        ({"x-opencode-session": "o"}, None, "o/"),
        ({"x-session-affinity": "a"}, None, "a/"),
    ],
)
def test_a_session_has_the_name_that_its_client_gives_it(
    headers: dict[str, str], cache_key: object, named: str | None
) -> None:
    with Flask("test").test_request_context(headers=headers):
        assert session(cache_key) == named
