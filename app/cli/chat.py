"""tooloo chat: one question to the best provider."""

from __future__ import annotations

from typing import Any

import click

from app.cli.client import call
from app.cli.main import print_json


@click.command()
@click.argument("message")
@click.option("--task", type=click.Choice(["default", "creative", "code", "analysis"]), default="default")
@click.option("--provider", default=None, help="Only this provider, instead of the best.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer of the API.")
def chat(message: str, task: str, provider: str | None, as_json: bool) -> None:
    """Ask the best provider.

    \b
    Example:  tooloo chat "What is a mutex?"
              tooloo chat "Reverse a list in JavaScript" --task code
    """
    body: dict[str, Any] = {"message": message, "taskType": task}
    if provider is not None:
        body["provider"] = provider
    reply = call("POST", "/api/v1/chat", body, timeout_s=120)
    if as_json:
        print_json(reply)
        return
    click.echo(reply["content"])
    cost = "unknown" if reply["cost"] is None else f"${reply['cost']:.6f}"
    notes = [f"{reply['provider']}/{reply['model']}", f"{reply['latency']:.0f} ms", cost]
    notes += [f"attempt {n} of {len(reply['attempts'])}" for n in [len(reply["attempts"])] if n > 1]
    notes += [label for label in ("explored", "simulated") if reply[label]]
    click.secho("— " + " · ".join(notes), err=True, dim=True)
