"""The gateway, and the watch over its dependencies, behind the request that is being served."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app, request

from app.gateway import Gateway
from app.watch import Watch

_GATEWAY, _WATCH = "tooloo.gateway", "tooloo.watch"


def attach(app: Flask, gateway: Gateway, watch: Watch) -> None:
    app.extensions.update({_GATEWAY: gateway, _WATCH: watch})


def gateway() -> Gateway:
    return cast(Gateway, current_app.extensions[_GATEWAY])


def caller_segment(asked: str | None) -> str | None:
    """Whose weights to rank by: what the request says, else its header."""
    return asked or request.headers.get("X-Tooloo-Segment") or None


def watch() -> Watch:
    return cast(Watch, current_app.extensions[_WATCH])
