"""What TooLoo sent during a test, to be looked at when the test is over: not before, so that no answer is held up."""

from __future__ import annotations

import json
from collections.abc import Mapping

#: how TooLoo's client calls itself
_CLIENT = "tooloo"
#: characters of a wrong body that are shown
_SHOWN = 2000
_sent: set[tuple[str, bytes]] = set()


def note(path: str, headers: Mapping[str, str], body: bytes) -> None:
    """By a server of a test's, for every request it gets; a test's own requests may be as wrong as they like."""
    if body and _CLIENT in (headers.get("user-agent"), headers.get("User-Agent")):
        _sent.add((path, body))


def forget() -> None:
    _sent.clear()


def faults() -> list[str]:
    """What the vendors' request types would not hold."""
    if not _sent:
        return []
    from tests.support import request_types  # three SDKs: only where there is something to look at

    found = []
    for path, body in sorted(_sent):
        wrong = request_types.faults(path, json.loads(body))
        found += [f"{path}: {', '.join(wrong)}: {body[:_SHOWN].decode('utf-8', 'replace')}"] if wrong else []
    return found
