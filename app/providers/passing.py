"""A request passed through to a provider as it came: where it goes, and which headers go there and back.

Only to what a block of providers.toml has as its base_url: the path is put behind it, and has no way out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote

from app.domain.catalog import WireFormat
from app.errors import InvalidRequest
from app.providers import own
from app.providers.base import Endpoint
from app.providers.wire.formats import FORMATS

#: of one connection, not of what goes over it
_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
    *("trailers", "transfer-encoding", "upgrade", "expect"),
}
#: what a client shows us to be let in, and what only its way here has to do with
_OURS = {
    *("authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "host", "content-length"),
    *("accept-encoding", "user-agent", "forwarded", "via", "x-real-ip", "x-request-id", "origin", "referer"),
}
_OUR_PREFIXES = ("x-tooloo-", "x-forwarded-", "sec-", "cf-", "access-control-")
#: of an answer: what would hold of us if it went on, or is ours to say
_THEIRS = {
    *("content-length", "content-encoding", "set-cookie", "strict-transport-security", "alt-svc", "server", "date"),
    *("www-authenticate", "x-request-id", "content-security-policy", "clear-site-data", "service-worker-allowed"),
}
_THEIR_PREFIXES = ("x-tooloo-", "access-control-")
_SEGMENT = re.compile(r"[^\x00-\x1f\x7f\\%?#]*")
_SAFE = "/:@!$&'()*+,;=~"


def url(endpoint: Endpoint, path: str, query: str) -> str:
    """Raises InvalidRequest for a path that may lead elsewhere than behind the base URL."""
    segments = path.split("/")
    inner = segments[:-1] if segments[-1] == "" and len(segments) > 1 else segments
    for segment in inner:
        if segment.partition(";")[0] in ("", ".", "..") or not _SEGMENT.fullmatch(segment):
            raise InvalidRequest(
                "the path behind the provider's name is not one: no //, no . or .., no backslash, no escapes",
                field="path",
            )
    asked = "&".join(_shown(endpoint, query))
    return own.url(endpoint, f"{endpoint.provider.base_url}/{quote(path, safe=_SAFE)}{'?' if asked else ''}{asked}")


def _shown(endpoint: Endpoint, query: str) -> Iterator[str]:
    """Without the key, which Gemini takes there as well: it is the caller's, for us."""
    gemini = endpoint.provider.format is WireFormat.GEMINI
    for part in filter(None, query.split("&")):
        if not (gemini and unquote(part.partition("=")[0]).strip().lower() in ("key", "access_token")):
            yield part


def headers(endpoint: Endpoint, sent: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The caller's, without those that are for us, and with the provider's key in their place."""
    pairs = [(name.lower(), value) for name, value in sent]
    named = {word.strip().lower() for name, value in pairs if name == "connection" for word in value.split(",")}
    left_out = _HOP | _OURS | named
    kept = {name: value for name, value in pairs if name not in left_out and not name.startswith(_OUR_PREFIXES)}
    auth = {name.lower(): value for name, value in FORMATS[endpoint.provider.format].auth(endpoint).items()}
    return own.headers(endpoint, auth | kept)


def answered(received: Mapping[str, str]) -> dict[str, str]:
    """Headers of the answer for the caller."""
    named = {word.strip().lower() for word in received.get("connection", "").split(",")}
    left_out = _HOP | _THEIRS | named
    kept = {name: v for name, v in received.items() if name not in left_out and not name.startswith(_THEIR_PREFIXES)}
    if (theirs := received.get("x-request-id") or received.get("request-id")) is not None:
        kept["x-tooloo-provider-request-id"] = theirs
    return kept
