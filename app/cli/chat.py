"""tooloo chat: one question to the best provider."""

from __future__ import annotations

import select
import sys
from typing import Any

import click

from app.cli import names
from app.cli.client import call, events
from app.cli.exits import Refused
from app.cli.main import print_json
from app.cli.terminal import give, say

#: s that a message given by itself waits for the first byte of a pipe
PIPE_S = 1.0


@click.command()
@click.argument("message", required=False)
@click.option("--task", type=click.Choice(["default", "creative", "code", "analysis"]), default="default")
@click.option("--system", default=None, help="What the model is told before the message.")
@click.option("--provider", default=None, shell_complete=names.providers, help="Only this provider, not the best.")
@click.option("--model", default=None, shell_complete=names.models, help="Only this model, as PROVIDER/MODEL.")
@click.option("--stream", is_flag=True, help="Print the answer as it comes.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer of the API.")
def chat(
    message: str | None,
    task: str,
    system: str | None,
    provider: str | None,
    model: str | None,
    stream: bool,
    as_json: bool,
) -> None:
    """Ask the best provider. What is piped in follows the message; `-`, or no message, is that alone.

    \b
    Example:  tooloo chat "What is a mutex?"
              tooloo chat "Reverse a list in JavaScript" --task code --stream
              git diff | tooloo chat "Write a commit message" --system "Be brief."
              tooloo chat - --model deepseek/deepseek-chat < question.txt
    """
    asked = _asked(message)
    turns = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {"messages": [*turns, {"role": "user", "content": asked}], "taskType": task}
    body |= {name: value for name, value in (("provider", provider), ("model", model)) if value is not None}
    if stream:
        reply = _streamed({**body, "stream": True}, quiet=as_json)
    else:
        reply = call("POST", "/api/v1/chat", body, timeout_s=120)
    if as_json:
        print_json(reply)
        return
    give("" if stream else reply["content"])
    cost = "unknown" if reply["cost"] is None else f"${reply['cost']:.6f}"
    notes = [f"{reply['provider']}/{reply['model']}", f"{reply['latency']:.0f} ms", cost]
    notes += [f"attempt {n} of {len(reply['attempts'])}" for n in [len(reply["attempts"])] if n > 1]
    notes += [label for label in ("explored", "simulated") if reply[label]]
    notes.append(reply["requestId"])
    say("— " + " · ".join(notes), err=True)


def _asked(message: str | None) -> str:
    """The message and what is piped in; raises UsageError where both are missing."""
    alone = message is None or message == "-"
    parts = [part for part in ("" if alone else message, _piped(at_most_s=None if alone else PIPE_S)) if part]
    if not parts:
        raise click.UsageError("there is nothing to ask: give a message, or pipe one in")
    return "\n\n".join(parts)


def _piped(*, at_most_s: float | None) -> str:
    """All of standard input; nothing where it is a terminal that was not asked for, or says nothing for so long."""
    if at_most_s is not None and (sys.stdin is None or sys.stdin.isatty() or not _speaks(at_most_s)):
        return ""
    try:
        return sys.stdin.read().strip()
    except (AttributeError, OSError) as error:  # closed: of `tooloo chat hi <&-` there is none
        if at_most_s is not None:
            return ""
        raise click.UsageError(f"standard input cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"what is piped in is no text in UTF-8: {error}") from None


def _speaks(within_s: float) -> bool:
    """Is something there, or its end? A pipe that some program left open and empty must not hold up a question."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], within_s)
    except (OSError, ValueError):  # no file of the system's
        return True
    if not ready:
        say(f"nothing came by standard input within {within_s:g} s: asked without it", err=True)
    return bool(ready)


def _streamed(body: dict[str, Any], *, quiet: bool) -> Any:
    """Print each piece as it comes; what the plain answer would have been."""
    for name, data in events("POST", "/api/v1/chat", body, timeout_s=120):
        if name == "delta" and not quiet:
            give(data["content"], nl=False)
        elif name == "error":
            raise Refused(data["code"], data["message"])
        elif name == "done":
            return data
    raise click.ClickException("the answer broke off")
