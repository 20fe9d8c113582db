"""A message to somebody's HTTP server, signed as Standard Webhooks signs: `webhook-id`, `-timestamp`, `-signature`.

signature = "v1," + base64(HMAC-SHA256(secret, f"{id}.{timestamp}.{body}"))
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from app import http_calls

#: s to connect, and to answer
TIMEOUT = (5, 10)
PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Webhook:
    url: str
    secret: str = field(repr=False)

    def send(self, message_id: str, document: Mapping[str, Any], now_s: int) -> str | None:
        """What is wrong; None: it was taken. One try: whoever calls says what comes after."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tooloo",
            "webhook-id": message_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(self.secret, message_id, now_s, body),
        }
        try:
            # a redirect would carry what was signed for one server to another
            answer = http_calls.call(
                "POST", self.url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            return type(error).__name__  # its text may quote the URL, which may hold a secret
        return None if 200 <= answer.status_code < 300 else f"HTTP {answer.status_code}"


def signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    """A secret as Standard Webhooks writes it, whsec_ and base64; any other text is the key as it stands."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
