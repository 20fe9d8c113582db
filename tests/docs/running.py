"""The commands of a page, run as its reader runs them: in bash, block by block, in one folder, against a stack."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from redis import Redis
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from app.access import keys
from app.cli import servers as embedded
from app.cli.place import place
from tests.docs.reading import Block
from tests.docs.shapes import found
from tests.support.stack import Stack
from tests.support.system import ROOT
from tests.support.waiting import wait_until

#: s that a block may take; a round of the lab takes some
LIMIT_S = 240
#: of `set -x`, so that what failed is known
_TRACE = "+ "
#: what stands in pages for what a reader has: a pattern, and what tells what this one has
_STANDING_FOR: tuple[tuple[str, tuple[str, ...], Callable[[Any], str]], ...] = (
    (r"benchmark-1765326651024", ("results", "--last", "1"), lambda shown: shown["latest"]["id"]),
    (
        r"req-(?:0f1e2d3c4b5a69788796a5b4c3d2e1f0|…)",
        ("requests", "--last", "1"),
        lambda page: page["requests"][0]["requestId"],
    ),
)
#: … and what is known only when the line is reached: a key that is valid
_LATER = {
    "3f9a0c5b71de": """$(tooloo keys list --json | python -c '
import json, sys
print(next(key["id"] for key in json.load(sys.stdin) if key["revokedAt"] is None and "admin" not in key["scopes"]))')"""
}


@dataclass
class Reader:
    """Somebody at a terminal in `folder`; what they export holds to the end of the page."""

    stack: Stack
    folder: Path
    #: where `tooloo` is
    commands: Path
    #: the messages of the webhook, a line each
    alerts: Path
    #: what the latest block of commands printed
    printed: str = ""
    _exported: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._exported = self.folder / ".exported"
        self._exported.touch()
        # the `tooloo` of the environment would come before ours
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        (self.folder / ".venv" / "bin" / "activate").touch()
        (self.folder / "answer.txt").write_text("Canberra\n")
        # a status of 400 or more is a failure, and its body is shown
        (self.folder / ".curlrc").write_text("fail-with-body\nshow-error\n")

    @property
    def lab(self) -> str:
        return f"127.0.0.1:{self.stack.environment['TOOLOO_LAB_PORT']}"

    def run(self, block: Block) -> None:
        """Raises AssertionError where a command of it fails."""
        self.given(block)
        self.printed = self._bash(block.text, block.place)

    def given(self, block: Block) -> None:
        if "given" in block.notes:
            self._bash(block.notes["given"], f"{block.place}, given")

    def compare(self, block: Block) -> None:
        """The JSON of the block with that which came."""
        self.given(block)
        command = block.notes.get("answer")
        came = self._bash(command, f"{block.place}, answer") if command else self.printed
        lacking = found(json.loads(block.text), _last_json(came, block.place))
        assert not lacking, f"{block.place} is not what comes: {'; '.join(lacking)}\n{came}"

    def leave(self) -> None:
        """As it was before the page: config, lab, keys."""
        self._forget_keys()
        reset = f"{self.stack.url}/api/v1/system/runtime-config/reset"
        requests.post(reset, json={}, timeout=10).raise_for_status()
        requests.post(f"http://{self.lab}/lab/reset", json={}, timeout=10).raise_for_status()

    def _forget_keys(self) -> None:
        """Revoked ones too: where there once was an admin's, keys stay needed."""
        servers = place(Path(self.stack.environment["TOOLOO_DATA_DIR"]))
        engine = create_engine(embedded.postgres_url(servers))
        with Redis.from_url(embedded.redis_url(servers)) as connection:
            with engine.begin() as transaction:
                transaction.execute(text("DELETE FROM api_keys"))
            keys.recover(sessionmaker(engine), connection)
        engine.dispose()
        wait_until(
            lambda: requests.get(f"{self.stack.url}/api/v1/system/scorecard", timeout=10).ok,
            30,
            what="no key is needed",
        )

    def _bash(self, text: str, place: str) -> str:
        script = f"source .exported\nset -euxo pipefail\n{self._mine(text)}\n{{ set +x; export -p > .exported; }} 2>&-"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        tried = [line for line in done.stderr.splitlines() if line.startswith(_TRACE)]
        last = tried[-1] if tried else ""
        assert done.returncode == 0, f"{place}: {last}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        path = f"{self.commands}:{ROOT / '.venv' / 'bin'}:{self.stack.environment['PATH']}"
        return {
            **self.stack.environment,
            "PATH": path,
            "HOME": str(self.folder),
            "CURL_HOME": str(self.folder),
            "COLUMNS": "80",
            "TERM": "dumb",
            "ALERTS": str(self.alerts),
        }

    def _mine(self, text: str) -> str:
        text = re.sub(r"(localhost|127\.0\.0\.1):4000", self.stack.url.removeprefix("http://"), text)
        text = text.replace("127.0.0.1:4010", self.lab)
        for pattern, command, told in _STANDING_FOR:
            if re.search(pattern, text):
                text = re.sub(
                    pattern, told(json.loads(self._bash(f"tooloo {' '.join(command)} --json", pattern))), text
                )
        for shown, command_line in _LATER.items():
            text = text.replace(shown, command_line)
        return text


def _last_json(printed: str, place: str) -> Any:
    """Of the documents that were printed one after the other, among lines of text."""
    decoder, found_any, last = json.JSONDecoder(), False, None
    at = 0
    for start in re.finditer(r"^[\[{]", printed, flags=re.MULTILINE):
        if start.start() < at:
            continue
        try:
            last, at = decoder.raw_decode(printed, start.start())
        except ValueError:
            continue
        found_any = True
    assert found_any, f"{place}: no JSON came: {printed}"
    return last
