"""The API as the commands call it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import requests

from app import http_calls, local_key, settings
from app.cli.exits import NOT_REACHABLE, Refused


class Unreachable(click.ClickException):
    exit_code = NOT_REACHABLE


def call(method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float = 60) -> Any:
    """`data` of the answer; a ClickException with the API's own message else."""
    with _opened(method, path, body, timeout_s) as response:
        return _data(response)


def fetch(path: str, *, timeout_s: float = 60) -> str:
    """The body of an answer that has no envelope; raises as `call` does where it is a refusal."""
    with _opened("GET", path, None, timeout_s) as response:
        if not response.ok:
            _data(response)
        return response.text


def events(method: str, path: str, body: dict[str, Any], *, timeout_s: float = 60) -> Iterator[tuple[str, Any]]:
    """The answer's server-sent events, name and data, as they come; raises as `call` does."""
    with _opened(method, path, body, timeout_s, stream=True) as response:
        if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
            _data(response)
        name = ""
        with _reachable():
            # lines of bytes: a character may stand on both sides of a piece's end
            for line in response.iter_lines(chunk_size=None):
                if line.startswith(b"event: "):
                    name = line.removeprefix(b"event: ").decode()
                elif line.startswith(b"data: "):
                    yield name, json.loads(line.removeprefix(b"data: "))


def _opened(
    method: str, path: str, body: dict[str, Any] | None, timeout_s: float, *, stream: bool = False
) -> requests.Response:
    configured = settings.load()
    key = configured.admin_key or configured.api_key
    with _reachable():
        response = _sent(method, path, body, timeout_s, key, stream=stream)
        if response.status_code != 401 or key or configured.url is not None:
            return response
        # where it cannot be known whose command this is, the API has put a key where we alone can read it
        held = local_key.read(configured.data_dir)
        return response if held is None else _sent(method, path, body, timeout_s, held, stream=stream)


def _sent(
    method: str, path: str, body: dict[str, Any] | None, timeout_s: float, key: str | None, *, stream: bool
) -> requests.Response:
    return http_calls.call(
        method,
        _base() + path,
        key=key,
        own=settings.load().url is None,
        json=body,
        timeout=(3, timeout_s),
        stream=stream,
    )


def _base() -> str:
    configured = settings.load()
    return configured.url or configured.api_url


@contextmanager
def _reachable() -> Iterator[None]:
    base = _base()
    try:
        yield
    except requests.ConnectionError:
        raise Unreachable(f"nothing answers at {base}: is `make up` running? (TOOLOO_URL names another one)") from None
    except requests.RequestException as error:
        raise Unreachable(f"{base} did not answer as it should: {error}") from None


def _data(response: requests.Response) -> Any:
    with _reachable():
        answer = response.json()
    if not isinstance(answer, dict) or not answer.get("success"):
        problem = answer.get("error", {}) if isinstance(answer, dict) else {}
        raise Refused(str(problem.get("code", response.status_code)), problem.get("message", response.reason))
    return answer["data"]
