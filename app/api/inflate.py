"""Request bodies that come compressed: the limit of a body holds for what it becomes."""

from __future__ import annotations

import zlib

from flask import current_app, request

from app.errors import InvalidRequest, PayloadTooLarge

FIELD = "Content-Encoding"
#: key of the WSGI environment: the whole body, of a server that has read it already, within its limit
BODY = "tooloo.body"
#: of zlib: gzip, and nothing else
_GZIP = 16 + zlib.MAX_WBITS


def body() -> bytes:
    """Of the present request. Raises InvalidRequest for an encoding that is unknown or broken, and PayloadTooLarge."""
    encoding = request.headers.get(FIELD, "").strip().lower()
    data = received()
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip"):
        raise InvalidRequest(f"{FIELD} {encoding[:50]!r} is not known here: send gzip, or none", field=FIELD)
    return inflated(data, current_app.config["MAX_CONTENT_LENGTH"])


def received() -> bytes:
    """The present request's body as it came."""
    body: bytes | None = request.environ.get(BODY)
    return request.get_data() if body is None else body


def inflated(data: bytes, most: int) -> bytes:
    """What gzip has made of at most `most` bytes; no more than that is ever in memory."""
    parts: list[bytes] = []
    left = most
    while data:
        decoder = zlib.decompressobj(_GZIP)
        try:
            part = decoder.decompress(data, left + 1)
        except zlib.error:
            raise InvalidRequest("the body is not the gzip that its Content-Encoding says", field=FIELD) from None
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise PayloadTooLarge(f"the body is larger than {most} bytes when it is unpacked")
        if not decoder.eof:
            raise InvalidRequest("the body's gzip ends before its end", field=FIELD)
        data = decoder.unused_data
    return b"".join(parts)
