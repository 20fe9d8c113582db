"""Whatever an API, a provider or a person wrote: no command lets it drive a terminal or pass for a line of ours."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.cli.doctor import Examined, show
from app.cli.main import cli
from app.providers.checkup import Finding, Status

#: a title, a colour (C1), a reordering, a forged line, an overwritten one, rich's markup, half a character
EVIL = "evil\x1b]0;owned\x07\x9b31m\u202e\nError: forged\nforged\rforged [red]x[/red] [/] \x7f\ud800"
DRIVING = ("\x1b]0", "\x07", "\x9b", "\u202e", "\x7f", "\rforged", "\ud800")

CANDIDATE = {"provider": EVIL, "model": EVIL, "score": 0.5, "reasons": [EVIL], "evidence": {}}
LEFT_OUT = [{"provider": EVIL, "reason": EVIL}]
RESULT = {
    **dict.fromkeys(("latency", "timeToFirstToken", "tokensPerSecond", "qualityScore", "cost"), 1.0),
    "provider": EVIL,
    "success": False,
    "error": EVIL,
}
ROUND = {
    "id": "r1",
    "status": EVIL,
    "duration": 1,
    "simulated": True,
    "degraded": True,
    "results": [RESULT],
    "measurementError": {"p50Ms": 1, "p95Ms": 1, "p99Ms": 1, "calls": 40},
    "leftOut": LEFT_OUT,
    "summary": {
        "successCount": 1,
        "providersAttempted": 1,
        "avgLatency": 1,
        "avgQualityScore": 1,
        "judge": None,
        "totalCostUsd": None,
        "estimatedCostUsd": None,
        "improvements": [EVIL],
    },
}
REPLY = {
    "content": EVIL,
    "provider": EVIL,
    "model": EVIL,
    "latency": 1,
    "cost": None,
    "attempts": [],
    "requestId": EVIL,
    "explored": False,
    "simulated": True,
}
KEY = {
    "id": EVIL,
    "name": EVIL,
    "key": "sk-1",
    "scopes": [EVIL],
    "segment": EVIL,
    "ratePerMinute": None,
    "createdAt": 1,
    "createdBy": EVIL,
    "revokedAt": None,
}
SPENT = {
    **dict.fromkeys(("requests", "failed", "unpriced", "liveUsd", "benchmarkUsd", "judgeUsd", "totalUsd"), 1),
    "simulated": True,
}
CHANGE = {"path": EVIL, "from": EVIL}
ANSWERS = {
    "GET /api/v1/requests/x": {
        "timestamp": 1,
        "provider": EVIL,
        "model": EVIL,
        "cost": None,
        "asked": EVIL,
        "status": EVIL,
        "latency": 1,
        "configVersion": "1",
        "stream": True,
        "segment": EVIL,
        "simulated": True,
        "why": EVIL,
        "explanation": {"candidates": [CANDIDATE]},
        "attempts": [
            {"provider": EVIL, "model": EVIL, "latency": 1, "success": False, "error": {"code": EVIL, "message": EVIL}}
        ],
    },
    "GET /api/v1/requests": {
        "from": 1,
        "to": 2,
        "total": 1,
        "next": EVIL,
        "keptDays": 14,
        "requests": [
            {
                **dict.fromkeys(("requestId", "provider", "model", "status"), EVIL),
                "timestamp": 1,
                "latency": 1,
                "cost": None,
                "explored": True,
                "fellOver": True,
                "simulated": True,
            }
        ],
    },
    "GET /api/v1/system/spend": {
        "by": ["day", "key"],
        "spend": [{**SPENT, "day": EVIL, "key": EVIL}],
        "totals": [SPENT],
        "failures": [{"provider": EVIL, "model": EVIL, "calls": 2, "failed": 1, "errors": {EVIL: 1}}],
        "budget": {"spentUsd": 1, "dayUsd": 2, "leftUsd": 1},
    },
    "POST /api/v1/chat": REPLY,
    "GET /api/v1/system/benchmark-results": {"history": [ROUND]},
    "POST /api/v1/system/benchmarks": {"roundId": "r1"},
    "GET /api/v1/system/benchmarks/r1": {
        "leftOut": LEFT_OUT,
        "expected": 2,
        "done": 1,
        "status": "done",
        "etaMs": 1,
        "providers": {EVIL: {"done": 0, "expected": 1}},
    },
    "GET /api/v1/system/scorecard": {
        "configVersion": EVIL,
        "explorationRate": 0.1,
        "simulated": True,
        "objective": {"latencyRefMs": 1000.0, "costRefUsd": 0.006, "learned": ["costRefUsd"]},
        "ceiling": {
            **dict.fromkeys(("maxCostUsd", "meanCostUsd", "requests", "allowanceUsd", "lambdaPerUsd"), 1.0),
            "binds": True,
            "canBeHeld": True,
            "shares": {EVIL: 1.0},
        },
        "candidates": [CANDIDATE],
        "leftOut": LEFT_OUT,
    },
    "GET /api/v1/system/insights": {"insights": [{"timestamp": 1, "simulated": True, "text": EVIL}]},
    "GET /api/v1/system/runtime-config": {"note": EVIL},
    "POST /api/v1/system/runtime-config": {"version": EVIL},
    "GET /api/v1/system/runtime-config/history": {
        "revisions": [{"version": EVIL, "author": EVIL, "reason": EVIL, "changes": [CHANGE]}]
    },
    "GET /api/v1/system/runtime-config/diff": {"changes": [CHANGE]},
    "GET /api/v1/system/keys": {"keys": [KEY]},
    "POST /api/v1/system/keys": KEY,
    "DELETE /api/v1/system/keys/x": KEY,
    # the lab's
    "GET /lab/profiles": {"profile": EVIL, "providers": {}},
    "PATCH /lab/profiles/deepseek": {"latency": EVIL},
    "POST /lab/reset": {"profile": EVIL},
}

COMMANDS = [
    ["explain", "x"],
    ["requests"],
    ["usage"],
    ["results"],
    ["benchmark"],
    ["benchmark", "--wait"],
    ["scorecard"],
    ["insights"],
    ["config", "set", "a=1"],
    ["config", "history"],
    ["config", "diff", "1"],
    ["keys", "list"],
    ["keys", "create", "x"],
    ["keys", "revoke", "x"],
    ["lab", "set", "deepseek", "latency=1"],
    ["lab", "reset"],
]
#: what is asked for by itself goes into a pipe as it came
RAW = [["chat", "hi"], ["chat", "hi", "--stream"], ["config", "get", "note"]]


class Api(BaseHTTPRequestHandler):
    """Answers what is in ANSWERS, refuses the rest in hostile words."""

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = json.loads(self.rfile.read(length) or b"null")
        if isinstance(asked, dict) and asked.get("stream"):
            events = [("delta", {"content": EVIL}), ("done", REPLY)]
            return self.send(200, "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events))
        data = ANSWERS.get(f"{self.command} {self.path.partition('?')[0]}")
        refusal = {"success": False, "error": {"code": EVIL, "message": EVIL}}
        ok = {"success": True, "data": data}
        return self.send(400 if data is None else 200, json.dumps(refusal if data is None else ok))

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the names that http.server calls

    def send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream" if text.startswith("event") else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Not on the output that is looked at."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for name, value in {"TOOLOO_URL": url, "TOOLOO_LAB_URL": url, "COLUMNS": "1000", "TERM": "xterm"}.items():
            monkeypatch.setenv(name, value)
        yield
        server.shutdown()


class Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__(newline="")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@contextmanager
def written(*, terminal: bool) -> Iterator[tuple[Stream, Stream]]:
    before, streams = (sys.stdout, sys.stderr), (Stream(terminal=terminal), Stream(terminal=terminal))
    sys.stdout, sys.stderr = streams
    try:
        yield streams
    finally:
        sys.stdout, sys.stderr = before


def run(arguments: list[str], *, terminal: bool) -> tuple[int, str, str]:
    with written(terminal=terminal) as (out, err), pytest.raises(SystemExit) as end:
        cli.main(arguments, prog_name="tooloo")
    return int(end.value.code or 0), out.getvalue(), err.getvalue()


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_is_driven_by_what_it_shows(api: None, command: list[str], terminal: bool) -> None:
    exit_code, out, err = run(command, terminal=terminal)

    assert exit_code == 0, err
    assert not [each for each in DRIVING if each in out + err]
    assert not [line for line in (out + err).splitlines() if line.strip().startswith(("Error", "forged"))]
    assert "evil" not in out + err or "[red]x[/red] [/]" in out + err


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["config", "rollback", "1"], id="the API's"),
        pytest.param(["config", "get", EVIL], id="our own"),
        pytest.param(["results", "--last", EVIL], id="an option's"),
        pytest.param([EVIL], id="no such command"),
        pytest.param([f"--{EVIL}"], id="no such option"),
    ],
)
def test_an_error_is_one_line(api: None, command: list[str], terminal: bool) -> None:
    exit_code, out, err = run(command, terminal=terminal)

    assert exit_code in (1, 2)
    assert not [each for each in DRIVING if each in out + err]
    assert [line for line in err.splitlines() if line.startswith(("Error", "forged"))] == [err.splitlines()[-1]]


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_a_finding_of_the_doctor_is_two_lines_at_most(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with written(terminal=terminal) as (out, _):
        show(Examined([Finding(EVIL, EVIL, Status.FAILED, EVIL, EVIL)], simulated=False))

    assert not [each for each in DRIVING if each in out.getvalue()]
    told = [line for line in out.getvalue().splitlines() if line.strip()]
    assert [line.count("forged") > 0 for line in told] == [True, True, False]
    assert "→ evil" in told[1]


@pytest.mark.parametrize("command", [*COMMANDS, *RAW, ["config", "show"]], ids=" ".join)
def test_json_is_the_same_document_and_drives_nothing(api: None, command: list[str]) -> None:
    _, out, _ = run([*command, "--json"], terminal=False)

    assert not [each for each in DRIVING if each in out]
    assert "evil" not in out or EVIL in _texts(json.loads(out))


@pytest.mark.parametrize("command", RAW, ids=" ".join)
def test_what_is_asked_for_by_itself_goes_into_a_pipe_as_it_came(api: None, command: list[str]) -> None:
    _, out, err = run(command, terminal=False)
    _, shown, _ = run(command, terminal=True)

    assert out.rstrip("\n") == EVIL.encode("utf-8", "backslashreplace").decode()
    assert not [each for each in DRIVING if each in shown + err]
    assert not [line for line in err.splitlines() if line.startswith(("Error", "forged"))]


def _texts(document: Any) -> set[str]:
    if isinstance(document, dict):
        return set().union(*map(_texts, [*document, *document.values()]))
    if isinstance(document, list):
        return set().union(*map(_texts, document))
    return {document} if isinstance(document, str) else set()
