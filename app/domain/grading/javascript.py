"""Grader `javascript`: the answer's code is executed against cases, in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from app.domain.grading.es_modules import as_script
from app.domain.grading.json_value import same
from app.domain.grading.result import Expectation, Grade, graded, weighed
from app.domain.grading.text import fenced_blocks, repetition
from app.domain.grading.typescript import is_typed, without_types
from app.errors import LocalFailure

#: s of clock time after which we stop waiting: the sandbox limits its own CPU time to a fraction of that, and nothing
#: in it can wait, so whatever takes this long is kept waiting by the machine
WALL_S = 60.0
#: failed cases that are spelt out
SHOWN = 3

_SANDBOX = Path(__file__).with_name("sandbox.py")
_CODE_START = re.compile(r"^\s*(?:(?:export|async|function|const|let|var|class)\b|//|/\*|[\"']use strict)")
_LANGUAGES = {"", "js", "javascript", "mjs", "jsx", "node", "ecmascript", "es6", "ts", "typescript"}


def _is_json(text: str) -> str:
    json.loads(text)
    return text


class Case(Expectation):
    #: a JavaScript expression
    call: Annotated[str, Field(min_length=1, max_length=10_000)]
    #: JSON text of what it must give
    gives: Annotated[str, AfterValidator(_is_json)]


class Expected(Expectation):
    function: Annotated[str, Field(pattern=r"^[A-Za-z_$][\w$]{0,63}$")]
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=100)]


def grade(expected: Expected, _prompt_text: str, answer: str) -> Grade:
    sources = _sources(answer, expected.function)
    if not sources:
        return graded(0, [f"no code that defines {expected.function}"])
    results = _executed(expected, sources)
    failures = [_failure(case, result) for case, result in zip(expected.cases, results, strict=True)]
    passed = [case for case, failure in zip(expected.cases, failures, strict=True) if failure is None]
    reasons = [f"{len(passed)} of {len(failures)} cases pass", *[text for text in failures if text][:SHOWN]]
    return weighed(_share(expected.cases, passed), reasons, [repetition(answer)])


def _failure(case: Case, result: dict[str, str]) -> str | None:
    if "error" in result:
        return f"{case.call}: {result['error']}"
    try:
        right = same(json.loads(result["value"]), json.loads(case.gives))
    except (ValueError, RecursionError):  # undefined, NaN, or a result too long or too deep to be the expected one
        right = False
    return None if right else f"{case.call} gives {result['value'][:80]}, not {case.gives}"


def _share(cases: Sequence[Case], passed: Sequence[Case]) -> float:
    """Share of the cases that pass; those with the most common result count only as far as the others pass.

    Else `return null` would earn half of a prompt in which half of the inputs are invalid.
    """
    common = Counter(case.gives for case in cases).most_common(1)[0][0]
    others = sum(case.gives != common for case in cases)
    passed_others = sum(case.gives != common for case in passed)
    trust = passed_others / others if others else 1.0
    return (passed_others + trust * (len(passed) - passed_others)) / len(cases)


def _sources(answer: str, function: str) -> list[str]:
    """The code a person would try, most likely first; empty where nothing defines the function."""
    blocks = [body for language, body in fenced_blocks(answer) if language in _LANGUAGES and body.strip()]
    defining = [body for body in blocks if _defines(body, function)]
    whole = ["\n".join(blocks)] if blocks else [answer, _code_lines(answer)]
    tried = [*defining[:2], *whole]
    tried += [without_types(source) for source in tried if is_typed(source)]
    return [as_script(source) for source in dict.fromkeys(tried) if _defines(source, function)]


def _defines(source: str, function: str) -> bool:
    name = re.escape(function)
    declared = rf"function[\s*]+{name}(?![\w$])|(?<![\w$]){name}\s*[=:](?!=)"
    return re.search(rf"{declared}|exports\s*=|export\s+default\b|\bas\s+{name}\b", source) is not None


def _code_lines(answer: str) -> str:
    """From the first line that begins like code to the last that ends like it."""
    lines = answer.split("\n")
    starts = [index for index, line in enumerate(lines) if _CODE_START.match(line)]
    ends = [index for index, line in enumerate(lines) if line.rstrip().endswith(("}", "};", ";", ");"))]
    return "\n".join(lines[starts[0] : ends[-1] + 1]) if starts and ends else ""


def _executed(expected: Expected, sources: list[str]) -> list[dict[str, str]]:
    """One result per case; those that a killed sandbox did not reach say why.

    LocalFailure: it did not start, or the machine is too busy to tell. Neither says anything about the answer.
    """
    job = {"function": expected.function, "sources": sources, "calls": [case.call for case in expected.cases]}
    output, end = _sandboxed(json.dumps(job).encode())
    ready, *lines = output.split(b"\n")[:-1] or [b""]
    if not ready.startswith(b"ready"):
        raise LocalFailure(f"the JavaScript sandbox does not start: {end}")
    results: list[dict[str, str]] = [json.loads(line) for line in lines]
    return results + [{"error": end}] * (len(expected.cases) - len(results))


def confinement() -> str:
    """What confines the code of answers on this machine, in words. Raises LocalFailure: it does not start."""
    output, end = _sandboxed(json.dumps({"function": "f", "sources": [], "calls": []}).encode())
    ready, _, holds = output.decode().partition("\n")[0].partition(": ")
    if ready != "ready":
        raise LocalFailure(f"the JavaScript sandbox does not start: {end}")
    return holds


def _sandboxed(job: bytes) -> tuple[bytes, str]:
    """What the sandbox wrote, and how it ended."""
    command = [sys.executable, "-I", str(_SANDBOX)]
    with tempfile.TemporaryFile() as output:  # no pipe: the kernel bounds what is written to a file
        try:
            # an empty environment: whatever the code can do, there is no key to read
            done = subprocess.run(  # noqa: S603  # our own program, by its path
                command, input=job, stdout=output, stderr=subprocess.DEVNULL, timeout=WALL_S, env={}, check=False
            )
        except subprocess.TimeoutExpired:
            raise LocalFailure(f"the JavaScript sandbox got too little CPU time to end within {WALL_S:g} s") from None
        except OSError as error:
            return b"", str(error)
        output.seek(0)
        return output.read(), _end(done.returncode)


def _end(returncode: int) -> str:
    if -returncode in (signal.SIGXCPU, signal.SIGKILL):
        return "stopped: out of CPU time"
    if returncode < 0:
        return f"stopped: crashed the JavaScript engine ({signal.Signals(-returncode).name})"
    return "stopped: out of memory"
