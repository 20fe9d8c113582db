"""Without keys this is of who started it, and of root: other users of the machine are not to spend their money."""

from __future__ import annotations

import os

from flask import request

from app import local_key
from app.api.peers import PEER, uid_of
from app.errors import Unauthorized
from app.settings import Settings

ROOT = 0


def check(settings: Settings) -> None:
    """Raises Unauthorized where somebody else asks, or where it cannot be known who does."""
    connection = request.environ.get(PEER)
    if connection is None:  # nothing listens: this process calls itself
        return
    uid, mine = uid_of(connection), os.geteuid()
    if uid in (ROOT, mine):
        return
    if uid is None:
        raise Unauthorized(_unknown(settings), field="Authorization")
    raise Unauthorized(
        f"without keys this answers only who started it (user {mine}; you are {uid}): ask them for a key"
        " (tooloo keys create)",
        field="Authorization",
    )


def _unknown(settings: Settings) -> str:
    text = "it cannot be known which user asks, and without keys this answers only who started it: "
    if local_key.make(settings.data_dir) is None:
        return f"{text}set TOOLOO_ADMIN_KEY and start again (no key could be written to {settings.data_dir})"
    return (
        f"{text}send the key in {settings.data_dir / local_key.NAME} as `Authorization: Bearer KEY`, or sign in with it"
    )
