"""What TooLoo sent during a test, to be looked at when the test is over: not before, so that no answer is held up.

Servers in pytest's own process note it here; a lab in a process of its own writes it to a file (`TOOLOO_LAB_RECORD`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

#: how TooLoo's client calls itself
_CLIENT = "tooloo"
#: characters of a wrong body that are shown
_SHOWN = 2000
_sent: set[tuple[str, bytes]] = set()


def note(path: str, headers: Mapping[str, str], body: bytes) -> None:
    """By a server of a test's, for every request it gets; a test's own requests may be as wrong as they like."""
    if body and _CLIENT in (headers.get("user-agent"), headers.get("User-Agent")):
        _sent.add((path, body))


def check() -> None:
    """What was noted since the last time, whoever sent it. Raises AssertionError with each wrong body."""
    noted = sorted(_sent)
    _sent.clear()
    _hold(noted)


def check_recorded(file: Path) -> int:
    """What a lab wrote to `file`; how many bodies of TooLoo's there are. Raises AssertionError with each wrong one."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    sent = {(line["path"], line["body"].encode()) for line in lines if line["client"] == _CLIENT and line["body"]}
    _hold(sorted(sent))
    return len(sent)


def _hold(sent: Iterable[tuple[str, bytes]]) -> None:
    wrong = [told for path, body in sent if (told := _fault(path, body))]
    assert not wrong, "TooLoo sent what the SDK's request type does not hold:\n" + "\n".join(wrong)


def _fault(path: str, body: bytes) -> str:
    from tests.support import request_types  # three SDKs: only where there is something to look at

    wrong = request_types.faults(path, json.loads(body)) if request_types.knows(path) else []
    return f"{path}: {', '.join(wrong)}: {body[:_SHOWN].decode('utf-8', 'replace')}" if wrong else ""
