"""The `tooloo` command. Each group lives in a file of its own and is loaded when it is called for."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from app.cli.terminal import one_line, shield
from app.errors import TooLooError

#: command → where it stands; `up` and `lab` need the extra named local
COMMANDS = {
    "up": "app.cli.up:up",
    "api": "app.cli.processes:api",
    "worker": "app.cli.processes:worker",
    "beat": "app.cli.processes:beat",
    "flower": "app.cli.processes:flower",
    "migrate": "app.cli.processes:migrate",
    "kickoff": "app.cli.kickoff:kickoff",
    "status": "app.cli.status:status",
    "benchmark": "app.cli.benchmark:benchmark",
    "results": "app.cli.benchmark:results",
    "scorecard": "app.cli.reports:scorecard",
    "insights": "app.cli.reports:insights",
    "config": "app.cli.config_history:config",
    "chat": "app.cli.chat:chat",
    "explain": "app.cli.explain:explain",
    "grade": "app.cli.grade:grade",
    "cases": "app.cli.cases:cases",
    "requests": "app.cli.request_list:requests",
    "usage": "app.cli.request_list:usage",
    "better": "app.cli.comparing:better",
    "whatif": "app.cli.comparing:whatif",
    "replay": "app.cli.replay:replay",
    "rebuild": "app.cli.history:rebuild",
    "lab": "app.cli.lab:lab",
    "doctor": "app.cli.doctor:doctor",
    "audit": "app.cli.audit:audit",
    "keys": "app.cli.keys:keys",
    "completion": "app.cli.completion:completion",
}


class Commands(click.Group):
    """Loads a command on first use; says one clear line for every error of ours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        shield()  # errors are shown outside of invoke
        return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _errors_of_one_line():
            return super().make_context(*args, **kwargs)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("app."):
                raise
            raise click.ClickException(f"`{name}` needs {error.name}: pip install 'tooloo[local]'") from None
        return command

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_of_one_line():
            try:
                return super().invoke(ctx)
            except TooLooError as error:
                raise click.ClickException(str(error)) from None


@contextmanager
def _errors_of_one_line() -> Iterator[None]:
    """What an error quotes must not begin a line that passes for another one."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = one_line(error.message or "")
        raise


# colour: Click would take escape sequences out where it does not write to a terminal; they are to be seen
@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "color": True})
@click.version_option(package_name="tooloo")
def cli() -> None:
    """TooLoo: a self-optimizing LLM gateway.

    \b
    Start everything on this machine:   tooloo up
    Ask the best provider:              tooloo chat "What is a mutex?"
    Measure now:                        tooloo benchmark --wait
    """


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    cli()
