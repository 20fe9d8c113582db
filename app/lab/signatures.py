"""Signatures of the lab's thoughts: whoever changes a thought, or brings one from elsewhere, has none that fits."""

from __future__ import annotations

import base64
import hashlib


def sign(thought: str) -> str:
    return base64.b64encode(hashlib.sha256(b"lab:" + thought.encode("utf-8", "replace")).digest()).decode()


def signed(thought: str, signature: str) -> bool:
    return signature == sign(thought)
