"""tooloo chat: one question to the best provider."""

from __future__ import annotations

from typing import Any

import click

from app.cli.client import call, events
from app.cli.main import print_json
from app.cli.terminal import give, say


@click.command()
@click.argument("message")
@click.option("--task", type=click.Choice(["default", "creative", "code", "analysis"]), default="default")
@click.option("--provider", default=None, help="Only this provider, instead of the best.")
@click.option("--stream", is_flag=True, help="Print the answer as it comes.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer of the API.")
def chat(message: str, task: str, provider: str | None, stream: bool, as_json: bool) -> None:
    """Ask the best provider.

    \b
    Example:  tooloo chat "What is a mutex?"
              tooloo chat "Reverse a list in JavaScript" --task code --stream
    """
    body: dict[str, Any] = {"message": message, "taskType": task}
    if provider is not None:
        body["provider"] = provider
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


def _streamed(body: dict[str, Any], *, quiet: bool) -> Any:
    """Print each piece as it comes; what the plain answer would have been."""
    for name, data in events("POST", "/api/v1/chat", body, timeout_s=120):
        if name == "delta" and not quiet:
            give(data["content"], nl=False)
        elif name == "error":
            raise click.ClickException(f"{data['message']} [{data['code']}]")
        elif name == "done":
            return data
    raise click.ClickException("the answer broke off")
