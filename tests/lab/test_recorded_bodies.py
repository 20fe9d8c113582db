"""A body that another process sent is held to the vendors' types as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.refusals import chat_cases
from tests.support import bodies

RIGHT: dict[str, Any] = {"model": "gpt-4.1-mini", **chat_cases.BODY}


def recorded(folder: Path, *sent: dict[str, Any], client: str = "tooloo") -> Path:
    file = folder / "bodies.jsonl"
    lines = [{"path": "/openai/v1/chat/completions", "client": client, "body": json.dumps(each)} for each in sent]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_right_bodies_are_counted(tmp_path: Path) -> None:
    assert bodies.check_recorded(recorded(tmp_path, RIGHT, {**RIGHT, "stream": True})) == 2


def test_a_wrong_body_is_shown_with_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"(?s)thinking: Extra inputs.*\"thinking\": 7"):
        bodies.check_recorded(recorded(tmp_path, RIGHT, {**RIGHT, "thinking": 7}))


def test_a_tests_own_requests_may_be_as_wrong_as_they_like(tmp_path: Path) -> None:
    assert bodies.check_recorded(recorded(tmp_path, {**RIGHT, "thinking": 7}, client="python-requests")) == 0


def test_what_is_noted_in_this_process_is_checked_once() -> None:
    bodies.note("/v1/chat/completions", {"user-agent": "tooloo"}, json.dumps({**RIGHT, "thinking": 7}).encode())
    with pytest.raises(AssertionError, match="thinking"):
        bodies.check()
    bodies.check()
