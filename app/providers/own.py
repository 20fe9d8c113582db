"""What a provider's block adds to every request of its own: headers, query, and fields of the body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from app.providers.base import Endpoint
from app.providers.wire import content
from app.providers.wire.content import Outgoing


def added(endpoint: Endpoint, outgoing: Outgoing) -> Outgoing:
    """The request as the block wants it; in the body what the request itself says goes first."""
    provider = endpoint.provider
    if not (endpoint.headers or provider.query or provider.body):
        return outgoing
    body = outgoing.body
    if provider.body:
        body = content.body({**provider.body, **json.loads(body)})
    return replace(outgoing, url=url(endpoint, outgoing.url), headers=headers(endpoint, outgoing.headers), body=body)


def url(endpoint: Endpoint, asked: str) -> str:
    query = endpoint.provider.query
    return f"{asked}{'&' if '?' in asked else '?'}{urlencode(query)}" if query else asked


def headers(endpoint: Endpoint, sent: Mapping[str, str]) -> dict[str, str]:
    """The block's go before ours, whatever their case: a provider may want its key elsewhere."""
    mine = {name.lower() for name in endpoint.headers}
    return {name: value for name, value in sent.items() if name.lower() not in mine} | dict(endpoint.headers)
