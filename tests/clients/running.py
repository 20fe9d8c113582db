"""One client's cases, in a process of its own with a limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.clients import installing
from tests.clients.catalogue import FEATURES, Client

#: what a client of this machine's user could read instead of what a case says
_NOT_PASSED = ("OPENAI_", "ANTHROPIC_", "CODEX_", "CLAUDE", "GEMINI_", "GOOGLE_", "LITELLM_", "TOOLOO_", "PYTHON")


@dataclass(frozen=True)
class Result:
    feature: str
    case: str
    #: None: it did what it should
    error: str | None


@dataclass(frozen=True)
class Report:
    client: Client
    results: tuple[Result, ...] = ()
    #: why there are no results
    not_installed: str | None = None
    #: what it wrote to stderr
    log: Path | None = None


def report(client: Client, access: Mapping[str, str]) -> Report:
    """`access`: the CLIENTS_… variables that the harness reads."""
    try:
        place = installing.install(client)
    except installing.NotInstalled as error:
        return Report(client, not_installed=str(error))
    log = place.with_suffix(".log")
    with tempfile.TemporaryDirectory(prefix="client-") as home, log.open("w") as errors:
        printed, ended = _output(client, place, Path(home), access, errors)
    return Report(client, tuple(results(printed, ended)), log=log)


def _output(client: Client, place: Path, home: Path, access: Mapping[str, str], errors: IO[str]) -> tuple[str, str]:
    """What it printed, and how its process ended."""
    process = subprocess.Popen(
        _command(client, place), cwd=home, env=_environment(client, home, access), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
    )  # fmt: skip
    try:
        return process.communicate(timeout=client.limit_s)[0], f"it ended with exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # and what it started
        return process.communicate()[0], f"it was killed after {client.limit_s} s"


def _command(client: Client, place: Path) -> list[str]:
    if client.in_node:
        return [str(installing.node_bin() / "node"), str(place / "cases.mjs")]
    return [str(place / "bin" / "python"), str(place / "cases.py")]


def _environment(client: Client, home: Path, access: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED)}
    programs = installing.node_bin() if client.in_node else installing.BUILD / client.folder / "bin"
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**ours, "PATH": path, "HOME": str(home), "PWD": str(home), "NO_PROXY": "127.0.0.1", **access}


def results(printed: str, ended: str) -> Iterator[Result]:
    """Those that were told, and a failure for each that was planned and not told."""
    facts = [fact for line in printed.splitlines() if (fact := _fact(line))]
    plan = next((fact["plan"] for fact in facts if "plan" in fact), None)
    if plan is None:
        yield Result(FEATURES[0], "start", ended)
        return
    told = {(fact["feature"], fact["case"]): fact["error"] for fact in facts if "case" in fact}
    for feature, case in plan:
        yield Result(feature, case, told.get((feature, case), f"no result: {ended}"))


def _fact(line: str) -> dict[str, Any] | None:
    """None for a line that is the client's own."""
    try:
        fact = json.loads(line)
    except ValueError:
        return None
    return fact if isinstance(fact, dict) and fact.keys() & {"plan", "case"} else None
