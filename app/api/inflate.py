"""Request bodies that come compressed: the limit of a body holds for what it becomes."""

from __future__ import annotations

import zlib

from flask import current_app, request

from app.api.headers import header
from app.errors import InvalidRequest, PayloadTooLarge

FIELD = "Content-Encoding"
#: key of the WSGI environment: the whole body, of a server that has read it already, within its limit
BODY = "tooloo.body"
#: of zlib: gzip, and nothing else
_GZIP = 16 + zlib.MAX_WBITS
#: encodings that are known, by their name here
_KNOWN = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}


def body() -> bytes:
    """Of the present request. Raises InvalidRequest for an encoding that is unknown or broken, and PayloadTooLarge."""
    encoding = (header(FIELD) or "").strip().lower()
    data = received()
    if encoding in ("", "identity"):
        return data
    if encoding not in _KNOWN:
        raise InvalidRequest(f"{FIELD} {encoding[:50]!r} is not known here: send gzip, deflate, or none", field=FIELD)
    return inflated(data, current_app.config["MAX_CONTENT_LENGTH"], _KNOWN[encoding])


def received() -> bytes:
    """The present request's body as it came."""
    body: bytes | None = request.environ.get(BODY)
    return request.get_data() if body is None else body


def inflated(data: bytes, most: int, encoding: str = "gzip") -> bytes:
    """What gzip or deflate has made of at most `most` bytes; no more than that is ever in memory."""
    window = _GZIP if encoding == "gzip" else _window(data)
    parts: list[bytes] = []
    left = most
    while data:
        decoder = zlib.decompressobj(window)
        try:
            part = decoder.decompress(data, left + 1)
        except zlib.error:
            raise InvalidRequest(f"the body is not the {encoding} that its {FIELD} says", field=FIELD) from None
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise PayloadTooLarge(f"the body is larger than {most} bytes when it is unpacked")
        if not decoder.eof:
            raise InvalidRequest(f"the body's {encoding} ends before its end", field=FIELD)
        data = decoder.unused_data
    return b"".join(parts)


def _window(data: bytes) -> int:
    """Of zlib: `deflate` is to have zlib's two bytes in front (RFC 9110), and some send it bare."""
    method, check = (data[0], int.from_bytes(data[:2], "big")) if len(data) > 1 else (0, 1)
    return zlib.MAX_WBITS if method & 15 == zlib.DEFLATED and check % 31 == 0 else -zlib.MAX_WBITS
