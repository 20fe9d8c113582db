"""What the readers of all protocols make of a request: one Call, with what its headers and its key say besides."""

from __future__ import annotations

from typing import Any

from flask import g

from app.api.allowed import allowance
from app.api.auth import caller
from app.api.current import asked_by, client
from app.api.headers import header
from app.api.openai.models import Chosen
from app.api.streaming import wants_whole
from app.domain.routing import task_type
from app.gateway.calls import Call
from app.providers.base import Message


def call(chosen: Chosen, messages: tuple[Message, ...], segment: str | None, **fields: Any) -> Call:
    """`fields`: of Call, what the protocol itself says. Raises InvalidRequest for a header that says nothing."""
    segment, key = asked_by(segment)
    return Call(
        messages=messages,
        task_type=chosen.task_type or task_type.detect(messages),
        detected=chosen.task_type is None,
        segment=segment,
        key=key,
        provider=chosen.provider,
        model=chosen.model,
        whole=wants_whole(),
        verbatim=True,
        client=client(),
        limits=caller().limits,
        allowance=allowance(),
        **fields,
    )


def named(call: Call) -> None:
    """The request has a name from now on, also where it fails; the caller's own goes first."""
    g.tooloo_request_id = call.request_id
    if not header("X-Request-Id"):
        g.request_id = call.request_id
