"""What the pages name in passing is there: commands with their options, targets of make, pages and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from app.cli.main import cli
from tests.docs.reading import SHELLS, blocks, pages
from tests.support.system import ROOT

_LINK = re.compile(r"\[[^\]]*\]\((?P<file>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_SPAN = re.compile(r"`(?P<text>[^`\n]+)`")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def headings(page: str) -> set[str]:
    """As GitHub makes anchors of them."""
    found = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def wrong_links(page: str) -> Iterator[str]:
    prose = _SPAN.sub("", re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL))
    for link in _LINK.finditer(prose):
        if "://" in link["file"]:
            continue
        file = (ROOT / page).parent / link["file"] if link["file"] else ROOT / page
        if not file.exists():
            yield f"{link[0]}: no such file"
        elif link["anchor"] and link["anchor"] not in headings(str(file.resolve().relative_to(ROOT))):
            yield f"{link[0]}: no such heading"


def wrong_command(text: str) -> str | None:
    """Of a `tooloo …`: why click would not take it."""
    command: click.Command = cli
    for word in shlex.split(text, comments=True)[1:]:
        if word in {"|", "<", ">", "&&", ";"}:
            return None
        if isinstance(command, click.Group) and word.isalpha() and word.islower():
            found = command.get_command(click.Context(command), word)
            if found is None:
                return f"{text}: there is no {word}"
            command = found
        elif re.match(r"--?[a-z]", word):
            known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            if word.partition("=")[0] not in known | {"--help", "--version"}:
                return f"{text}: {command.name} has no {word}"
    return None


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    assert list(wrong_links(page)) == []


@pytest.mark.parametrize("page", pages())
def test_commands_that_are_named_exist_with_their_options(page: str) -> None:
    spans = [span["text"] for span in _SPAN.finditer(text_of(page)) if span["text"].startswith("tooloo ")]

    assert list(filter(None, map(wrong_command, spans))) == []


@pytest.mark.parametrize("page", pages())
def test_targets_of_make_exist(page: str) -> None:
    (line,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    spans = [span["text"] for span in _SPAN.finditer(text_of(page))]
    lines = [line for block in blocks(page) if block.language in SHELLS for line in block.text.splitlines()]
    named = [found[1] for text in (*spans, *lines) if (found := re.match(r"make ([a-z]+)", text))]

    assert set(named) <= set(line.split())


def test_the_map_names_every_page() -> None:
    linked = {link["file"] for link in _LINK.finditer(text_of("docs/README.md"))}

    assert {page.removeprefix("docs/") for page in pages() if page.startswith("docs/")} - linked == {"README.md"}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("tooloo chat hello --stream", False),
        ("tooloo config set weights.latency=.6 --reason x", False),
        ("tooloo config sett a=b", True),
        ("tooloo chat hello --streem", True),
        ("tooloo scorecards", True),
    ],
)
def test_wrong_mentions_are_seen(text: str, wrong: bool) -> None:
    assert (wrong_command(text) is not None) == wrong
