"""docs/cli.md, made of the commands themselves: .venv/bin/python -m tests.support.cli_reference"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

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
    context = click.Context(cli, info_name="tooloo")
    return HEAD + codes + "".join(_section(cli, context))


def _section(group: click.Group, parent: click.Context) -> Iterator[str]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent)
        if isinstance(command, click.Group):
            yield from _section(command, context)
        else:
            yield from _command(command, context)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    summary, _, rest = text.partition("\n\n")
    yield f"\n## {context.command_path}\n\n{' '.join(summary.split())}\n"
    if rest.strip():
        yield f"\n```\n{rest.strip()}\n```\n"
    rows = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if rows:
        yield "\n| option | |\n|---|---|\n"
        yield from (
            f"| `{', '.join(each.opts)}` | {(each.help or '').replace('|', chr(92) + '|')} |\n" for each in rows
        )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
