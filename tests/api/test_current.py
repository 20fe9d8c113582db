"""Who asks, as the routes that spend money see it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flask import Flask, g

from app.api.auth import Caller
from app.api.current import asked_by
from app.domain.keys import Scope

STORED = Caller("3f9a", "mobile app", frozenset({Scope.CHAT}), segment="free")
PLAIN = Caller("77aa", "batch", frozenset({Scope.CHAT}))
OF_THE_ENVIRONMENT = Caller(None, "api", frozenset({Scope.CHAT}))
HEADER = {"X-Tooloo-Segment": "header"}


@pytest.mark.parametrize(
    ("who", "body", "headers", "segment", "key"),
    [
        (STORED, "body", HEADER, "free", "mobile app"),  # a key's segment is not for its holder to choose
        (PLAIN, "body", HEADER, "body", "batch"),
        (PLAIN, None, HEADER, "header", "batch"),
        (OF_THE_ENVIRONMENT, None, {}, None, None),
    ],
    ids=["of the key", "of the body", "of the header", "none"],
)
def test_the_segment_is_the_keys_before_the_bodys_before_the_headers(
    who: Caller, body: str | None, headers: Mapping[str, str], segment: str | None, key: str | None
) -> None:
    with Flask("test").test_request_context(headers=dict(headers)):
        g.caller = who
        assert asked_by(body) == (segment, key)
