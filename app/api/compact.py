"""Answers to reads as small as the reader takes them: nothing where it has them already, else compressed."""

from __future__ import annotations

import gzip
import hashlib

from flask import Flask, Response, request

#: bytes from which on gzip pays; below, its header and the time eat the gain
LEAST = 1400
#: fast: of JSON it takes four fifths off, and the slowest level hardly more
LEVEL = 3


def attach(app: Flask) -> None:
    app.after_request(_compact)


def _compact(response: Response) -> Response:
    """Documents in JSON alone. A stream is not one, nor what a provider sent; who has a tag of its own sees to it."""
    if request.method not in {"GET", "HEAD"} or response.status_code != 200 or response.mimetype != "application/json":
        return response
    if response.is_streamed or "ETag" in response.headers:
        return response
    body = response.get_data()
    # weak: the same document, whichever way it is packed
    response.set_etag(hashlib.blake2b(body, digest_size=16).hexdigest(), weak=True)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Accept-Encoding")
    if len(body) >= LEAST and "Content-Encoding" not in response.headers and _takes_gzip():
        response.set_data(gzip.compress(body, LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    response.make_conditional(request)
    return response


def _takes_gzip() -> bool:
    """Said with a quality above 0, and no less liked than the document as it is."""
    accepted = request.accept_encodings
    gzip_quality = accepted.quality("gzip")
    named = {value for value, _ in accepted}
    return gzip_quality > 0 and not ("identity" in named and accepted.quality("identity") > gzip_quality)
