"""The API as the commands call it."""

from __future__ import annotations

from typing import Any

import click
import requests

from app import settings

#: exit codes beside 0 (done), 1 (failed) and 2 (wrong usage)
NOT_REACHABLE = 3


class Unreachable(click.ClickException):
    exit_code = NOT_REACHABLE


def call(method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float = 60) -> Any:
    """`data` of the answer; a ClickException with the API's own message else."""
    return _checked(*_answer(method, path, body, timeout_s))["data"]


def fetch(path: str, *, timeout_s: float = 60) -> str:
    """The body of an answer that has no envelope; a ClickException as `call` where it is a refusal."""
    response, answer = _answer("GET", path, None, timeout_s)
    if not response.ok:
        _checked(response, answer)
    return response.text


def _answer(method: str, path: str, body: dict[str, Any] | None, timeout_s: float) -> tuple[requests.Response, Any]:
    configured = settings.load()
    base = configured.url or f"http://127.0.0.1:{configured.port}"
    key = configured.admin_key or configured.api_key
    try:
        response = requests.request(
            method,
            base + path,
            json=body,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=(3, timeout_s),
        )
        return response, response.json()
    except requests.ConnectionError:
        raise Unreachable(f"nothing answers at {base}: is `make up` running? (TOOLOO_URL names another one)") from None
    except requests.RequestException as error:
        raise Unreachable(f"{base} did not answer as it should: {error}") from None


def _checked(response: requests.Response, answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not answer.get("success"):
        problem = answer.get("error", {}) if isinstance(answer, dict) else {}
        code = problem.get("code", response.status_code)
        raise click.ClickException(f"{problem.get('message', response.reason)} [{code}]")
    return answer
