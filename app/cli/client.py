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
        answer = response.json()
    except requests.ConnectionError:
        raise Unreachable(f"nothing answers at {base}: is `make up` running? (TOOLOO_URL names another one)") from None
    except requests.RequestException as error:
        raise Unreachable(f"{base} did not answer as it should: {error}") from None
    if not isinstance(answer, dict) or not answer.get("success"):
        problem = answer.get("error", {}) if isinstance(answer, dict) else {}
        code = problem.get("code", response.status_code)
        raise click.ClickException(f"{problem.get('message', response.reason)} [{code}]")
    return answer["data"]
