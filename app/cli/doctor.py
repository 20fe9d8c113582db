"""tooloo doctor: is everything there that TooLoo needs, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import click
import requests
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app import bootstrap, config_files, settings
from app.cli.examine import Finding, State, examine
from app.cli.main import print_json
from app.domain.catalog import Provider
from app.errors import ConfigError
from app.providers.client import Client, new_pool
from app.settings import Settings

API_S = 3.0
MARKS = {State.OK: "[green]ok[/]", State.NOTE: "[yellow]note[/]", State.FAIL: "[red]fail[/]"}


@click.command()
@click.option("--provider", "-p", "wanted", multiple=True, help="Only this provider (may be repeated).")
@click.option("--call", is_flag=True, help="Make one tiny call per model: a fraction of a cent.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def doctor(ctx: click.Context, wanted: tuple[str, ...], call: bool, as_json: bool) -> None:
    """Look at config files, keys, providers, models, prices and clock, and say how to mend what is wrong.

    \b
    Example:  tooloo doctor
              tooloo doctor --call --provider gemini
    Exit code: 0 nothing is wrong, 1 something is, 2 wrong usage.
    """
    configured, findings = settings.load(), []
    try:
        providers = _chosen(configured, wanted)
        findings += [Finding("config", "files", State.OK, str(configured.config_dir))]
        findings += _stack(configured)
        findings += _providers(configured, providers, call=call)
    except ConfigError as error:
        findings += [Finding("config", "files", State.FAIL, str(error), "correct it; nothing starts before that")]
    if as_json:
        print_json({"healthy": _healthy(findings), "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    ctx.exit(0 if _healthy(findings) else 1)


def _chosen(configured: Settings, wanted: tuple[str, ...]) -> tuple[Provider, ...]:
    providers = config_files.load_providers(configured.config_dir)
    config_files.load_prompts(configured.config_dir)
    config_files.load_policy(configured.config_dir)
    known = {provider.name for provider in providers}
    for name in wanted:
        if name not in known:
            raise click.BadParameter(f"{name!r} is not in providers.toml: {', '.join(sorted(known))}")
    return tuple(provider for provider in providers if not wanted or provider.name in wanted)


def _stack(configured: Settings) -> Iterator[Finding]:
    """What a running stack says of its dependencies; that none runs is no illness."""
    base = configured.url or f"http://127.0.0.1:{configured.port}"
    try:
        checks = requests.get(f"{base}/readyz", timeout=API_S).json()["data"]["checks"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        yield Finding("stack", "api", State.NOTE, f"nothing answers at {base}", "`make up` starts everything")
        return
    yield Finding("stack", "api", State.OK, base)
    for name, said in checks.items():
        fix = "" if said == "ok" else "its log says why; chat and routing go on meanwhile"
        yield Finding("stack", str(name), State.OK if said == "ok" else State.FAIL, str(said), fix)


def _providers(configured: Settings, providers: tuple[Provider, ...], *, call: bool) -> Iterator[Finding]:
    usable = tuple(provider for provider in providers if _has_no_bad_key(configured, provider))
    endpoints, _ = bootstrap.endpoints(replace(configured, lab_url=_lab(configured)), usable)
    shown = tuple(endpoints[each.name].provider if each.name in endpoints else each for each in providers)
    with new_pool(len(providers) or 1) as pool:
        yield from examine(Client(pool), configured, shown, endpoints, call=call)


def _has_no_bad_key(configured: Settings, provider: Provider) -> bool:
    """A value that cannot be a key is a finding of its own; the other providers are looked at all the same."""
    try:
        if provider.key_env:
            configured.provider_key(provider.key_env)
    except ConfigError:
        return False
    return True


def _lab(configured: Settings) -> str | None:
    """The lab that a running stack uses, which this terminal's environment does not name."""
    if configured.lab_url:
        return configured.lab_url
    url = f"http://127.0.0.1:{configured.lab_port}"
    try:
        simulated = requests.get(f"{url}/healthz", timeout=API_S).json().get("simulated")
    except (requests.RequestException, ValueError, AttributeError):
        return None
    return url if simulated else None


def _healthy(findings: list[Finding]) -> bool:
    return all(finding.state is not State.FAIL for finding in findings)


def _print(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for style in ("bold", "", "", ""):
        table.add_column(style=style or None, overflow="fold")
    last = ""
    for finding in findings:
        told = finding.detail + (f"\n→ {finding.fix}" if finding.fix else "")
        name = "" if finding.subject == last else finding.subject
        # as Text: a fix may hold [brackets], which are markup in a plain string
        table.add_row(name, finding.check, MARKS[finding.state], Text(told))
        last = finding.subject
    Console().print(table, highlight=False)
    failed = sum(finding.state is State.FAIL for finding in findings)
    click.echo("nothing is wrong" if not failed else f"{failed} to mend")
