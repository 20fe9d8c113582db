"""What stands in a page: its fenced blocks, with what HTML comments in front of them say to the tests.

<!-- not run: REASON -->     of a shell's block: why no test can run it
<!-- given: COMMANDS -->     run before the block, for what its reader has and a test has not
<!-- answer: COMMANDS -->    of a block of JSON: what gives it, where that is not the block of commands before it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.system import ROOT

SHELLS = {"sh", "bash", "console"}
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")
_NOTE = re.compile(r"<!-- (?P<kind>not run|given|answer): (?P<text>.*?) -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: str
    #: of its first fence, from 1
    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """README.md first, then all of docs/."""
    return ["README.md", *sorted(str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*.md"))]


def blocks(page: str) -> list[Block]:
    return list(blocks_of(page, (ROOT / page).read_text(encoding="utf-8")))


def blocks_of(page: str, text: str) -> Iterator[Block]:
    opened: tuple[int, str, dict[str, str]] | None = None
    before: list[str] = []
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence is None:
            before.append(line)
        elif opened is None and fence is not None:
            opened = number, fence["language"], _notes(before)
        elif line.strip() == "```" and opened is not None:
            yield Block(page, opened[0], opened[1], "\n".join(inside), opened[2])
            opened, before, inside = None, [], []
        else:
            inside.append(line)
    assert opened is None, f"{page}:{opened} is not closed"


def _notes(before: list[str]) -> dict[str, str]:
    """Of the comments right in front of a fence."""
    text = "\n".join(before).rstrip()
    found: dict[str, str] = {}
    while text.endswith("-->"):
        start = text.rindex("<!--")
        if note := _NOTE.fullmatch(text[start:]):
            found[note["kind"]] = note["text"]
        text = text[:start].rstrip()
    return found
