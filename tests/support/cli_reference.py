"""docs/cli.md, made of the commands themselves: .venv/bin/python -m tests.support.cli_reference"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

import click

from app.cli import exits
from app.cli.main import cli
from tests.support.system import ROOT

PAGE = ROOT / "docs" / "cli.md"
KINDS = {
    exits.DONE: "done; for a watched round: every probe ran",
    exits.FAILED: "tried, and it did not succeed; a round that is partial or failed; stopped by Ctrl-C",
    exits.WRONG_USAGE: "a name, option or value that there is not: nothing was tried",
    exits.NOT_REACHABLE: "the API, or the lab, does not answer, or cannot at the moment",
    exits.NEEDS_YOU: "`tooloo status`: something needs a person",
    exits.NOT_ALLOWED: "no key, a wrong one, or one without the scope",
    exits.REFUSED: "not now: budget, a conflict, a rate",
}
_EXAMPLE = re.compile(r"^(?:Example|Apply): *(.*)$")
#: for tests/docs, which runs the examples: what a command needs before (tests/docs/reading.py) …
GIVEN = {
    "tooloo chat": "git init --quiet . && echo 'What is a mutex?' > question.txt",
    "tooloo completion": "mkdir -p ~/.config/fish/completions",
    "tooloo config diff": "for rate in .2 .3 .4 .5 .6 .7; do tooloo config set explorationRate=$rate; done",
    "tooloo keys revoke": "tooloo keys create old",
    "tooloo doctor": "tooloo lab reset",
    "tooloo replay": "tooloo replay --from-history 7d --export trace.jsonl && gzip --force --keep trace.jsonl",
}
#: … and which of them it cannot run: a part of the line, and the reason
NOT_RUN = {
    **dict.fromkeys(
        ("tooloo up", "tooloo api", "tooloo worker", "tooloo beat", "tooloo flower", "tooloo lab serve"),
        ("", "it serves until it is stopped"),
    ),
    **dict.fromkeys(("tooloo migrate", "tooloo kickoff"), ("", "it needs a DATABASE_URL of the reader's")),
    "tooloo lab config": ("", "it takes a trace of providers, which is no part of this repository"),
    **dict.fromkeys(
        ("tooloo cases import", "tooloo cases remove", "tooloo cases try"),
        ("", "it takes minutes, or files that a reader has"),
    ),
    "tooloo replay": ("--bars|--regimes|--prompts", "it takes minutes, or files that a reader has"),
}
HEAD = """# The commands

Made of the commands' own help by `.venv/bin/python -m tests.support.cli_reference`; a test holds it to them.
Each takes `--help`, and `--json` where it prints data. They call the API at `TOOLOO_URL`, else the one of this folder,
with `TOOLOO_ADMIN_KEY`, else `TOOLOO_API_KEY`, from the environment or `.env`.

Names are completed after `tooloo completion bash --install` (or `zsh`, `fish`).

| exit code | kind |
|---|---|
"""


def page() -> str:
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in sorted(KINDS.items()))
    return HEAD + codes + "".join(part for each in every_command() for part in _command(*each))


def every_command() -> Iterator[tuple[click.Command, click.Context]]:
    """But groups."""
    return _commands(cli, click.Context(cli, info_name="tooloo"))


def _commands(group: click.Group, parent: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent)
        if isinstance(command, click.Group):
            yield from _commands(command, context)
        else:
            yield command, context


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    summary, _, rest = text.partition("\n\n")
    yield f"\n## {context.command_path}\n\n{' '.join(summary.split())}\n"
    yield from _blocks(context.command_path, rest.strip())
    rows = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if rows:
        yield "\n| option | |\n|---|---|\n"
        yield from (
            f"| `{', '.join(each.opts)}` | {(each.help or '').replace('|', chr(92) + '|')} |\n" for each in rows
        )


def _blocks(path: str, rest: str) -> Iterator[str]:
    """Text as text, and examples as commands, which tests/docs runs."""
    text, commands = _parted(rest)
    if text:
        yield f"\n```\n{text}\n```\n"
    part, reason = NOT_RUN.get(path, ("$^", ""))
    alone = [line for line in commands if re.search(part, line)]
    yield from _fenced([line for line in commands if line not in alone], "given", GIVEN.get(path))
    yield from _fenced(alone, "not run", reason)


def _fenced(commands: Sequence[str], kind: str, note: str | None) -> Iterator[str]:
    if commands:
        yield f"\n<!-- {kind}: {note} -->" if note else ""
        yield "\n```sh\n" + "\n".join(commands) + "\n```\n"


def _parted(rest: str) -> tuple[str, list[str]]:
    """What stands behind `Example:`, or `Apply:`, and in the lines below it that are set in as far; and all else."""
    text: list[str] = []
    commands: list[str] = []
    examples = False
    for line in rest.splitlines():
        begins = _EXAMPLE.match(line)
        examples = begins is not None or (examples and line.startswith("  "))
        (commands if examples else text).append(begins[1] if begins else line.strip() if examples else line)
    return "\n".join(text).strip(), [line for line in commands if line]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
