"""Calls to servers of our own, and of who runs this: not to providers, which `app.providers.http` calls."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase


class _Key(AuthBase):
    """In place of what `requests` would find in ~/.netrc, also where there is none."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def call(method: str, url: str, *, key: str | None = None, own: bool = False, **options: Any) -> requests.Response:
    """`own`: a server of this machine. Neither that nor loopback is asked through a proxy, whatever the shell says."""
    with session(url, own=own) as opened:
        return opened.request(method, url, auth=_Key(key), **options)


@contextmanager
def session(url: str, *, own: bool = False) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = not (own or is_loopback(url))
        yield opened


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
