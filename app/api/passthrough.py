"""/v1/passthrough/PROVIDER/PATH: what is not routed goes to the provider that is named, as it came."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, g, request

from app.api import inflate
from app.api.allowed import allowance
from app.api.auth import caller
from app.api.current import asked_by, client, gateway
from app.domain.keys import Scope
from app.errors import Forbidden
from app.gateway.passthrough import Passage, Passed

#: a page of a provider's is none of ours: it may do nothing here
_SANDBOX = "sandbox; default-src 'none'"


def passed_through(provider: str, path: str) -> Response:
    """The provider's own answer, streamed as it comes."""
    who = caller()
    if who.id is not None and not who.may(Scope.PASSTHROUGH):
        raise Forbidden("this needs a key with the scope `passthrough`, beside `chat`", field="Authorization")
    segment, key = asked_by(None)
    query = request.query_string.decode("latin-1")
    headers = tuple(request.headers.items())
    body = inflate.received()
    passed = Passed(
        provider, request.method, path, query, headers, body, segment, key, client(), who.limits, allowance()
    )
    g.tooloo_request_id = passed.request_id
    passage = Passage(gateway(), passed)
    try:
        passage.begin()
        return _answer(passage, passed)
    except BaseException:
        passage.close()
        raise


def _answer(passage: Passage, passed: Passed) -> Response:
    is_whole = request.method == "HEAD" or passage.status in (204, 304) or passage.length is not None
    if is_whole:
        response = Response(b"".join(passage), passage.status)
    else:
        response = Response(_Body(passage), passage.status, direct_passthrough=True)
    response.headers.clear()
    for name, value in passage.headers.items():
        response.headers[name] = value
    response.headers["x-tooloo-target"] = passed.provider
    response.headers["x-tooloo-request-id"] = passed.request_id
    response.headers["x-tooloo-attempts"] = "1"
    response.headers["Content-Security-Policy"] = _SANDBOX
    if is_whole and passage.status not in (204, 304):
        response.headers["Content-Length"] = str(len(response.get_data()))
    return response


class _Body:
    """As the server reads it, and closes it."""

    def __init__(self, passage: Passage) -> None:
        self._pieces = (piece for piece in passage if piece)
        self.close = passage.close

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces
