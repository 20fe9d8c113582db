"""Grader `regex`: a regular expression that the final answer matches, bounded in time and length."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from app.domain.grading.result import Expectation, Grade, graded
from app.domain.grading.said import final
from app.errors import LocalFailure

#: characters of an answer that are searched
TEXT_CHARS = 20_000
#: s of clock time after which we stop waiting for a matcher that has its CPU time bounded
WALL_S = 30.0

_MATCHER = Path(__file__).with_name("matching.py")


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return pattern


class Expected(Expectation):
    pattern: Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_compiles)]
    #: whether the final answer is matched as a whole; else any part of the answer
    whole: bool = False
    case: bool = False


def grade(expected: Expected, _prompt_text: str, answer: str) -> Grade:
    """LocalFailure: the pattern takes too long, which is no fault of the answer."""
    text = (final(answer) if expected.whole else answer)[:TEXT_CHARS]
    flags = re.MULTILINE | (0 if expected.case else re.IGNORECASE)
    found = _searched({"pattern": expected.pattern, "flags": int(flags), "text": text, "full": expected.whole})
    return graded(found, ["the pattern matches" if found else f"nothing matches {expected.pattern[:100]!r}"])


def _searched(job: dict[str, object]) -> bool:
    command = [sys.executable, "-I", str(_MATCHER)]
    try:
        done = subprocess.run(  # noqa: S603  # our own program, by its path
            command, input=json.dumps(job).encode(), capture_output=True, timeout=WALL_S, env={}, check=False
        )
    except subprocess.TimeoutExpired:
        raise LocalFailure(f"the matcher got too little CPU time to end within {WALL_S:g} s") from None
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        raise LocalFailure(f"the pattern {str(job['pattern'])[:100]!r} takes too long: make it simpler")
    if done.returncode:
        raise LocalFailure(f"the matcher does not start: {done.stderr.decode(errors='replace')[-200:]}")
    return done.stdout.strip() == b"true"
