"""tooloo doctor: what is wrong here, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
import requests
from rich.table import Table
from rich.text import Text

from app import bootstrap, config_files, http_calls, settings
from app.cli import doctor_servers, jail, names
from app.cli.console import Console
from app.cli.main import print_json
from app.cli.terminal import one_line
from app.domain.catalog import Provider
from app.errors import ConfigError
from app.providers.base import Endpoint
from app.providers.checkup import Finding, Status, check
from app.providers.client import Client, Pool
from app.settings import Settings

#: how a status is written: sign and colour
SIGNS = {
    Status.OK: ("✓", "green"),
    Status.WARNING: ("!", "yellow"),
    Status.FAILED: ("✗", "red"),
    Status.SKIPPED: ("·", "dim"),
}


@dataclass(frozen=True, slots=True)
class Examined:
    findings: Sequence[Finding]
    simulated: bool

    @property
    def ok(self) -> bool:
        return all(finding.status is not Status.FAILED for finding in self.findings)


@click.command()
@click.option("--provider", "only", default=None, shell_complete=names.providers, help="Only this provider.")
@click.option("--call", "call", is_flag=True, help="Also ask each provider one tiny question, which costs a little.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def doctor(ctx: click.Context, only: str | None, call: bool, as_json: bool) -> None:
    """Check configuration, keys, network, models, prices and clock; say how to mend what is wrong.

    Costs nothing without --call. A key is never printed. Without any key it looks at the lab, where one runs.

    \b
    Example:  tooloo doctor
              tooloo doctor --provider openai --call
    Exit codes: 0 nothing failed (warnings do not count), 1 something did, 2 wrong usage.
    """
    examined = examine(settings.load(), only, call=call)
    if as_json:
        print_json(
            {"ok": examined.ok, "simulated": examined.simulated, "checks": [asdict(each) for each in examined.findings]}
        )
    else:
        show(examined)
    ctx.exit(0 if examined.ok else 1)


def examine(configured: Settings, only: str | None, *, call: bool) -> Examined:
    findings, providers = _files(configured)
    if only is not None and only not in {provider.name for provider in providers}:
        known = ", ".join(provider.name for provider in providers) or "none"
        raise click.UsageError(f"there is no provider {only!r}; there are: {known}")
    findings += [*doctor_servers.findings(configured), jail.finding()]
    missing, endpoints, simulated = _endpoints(configured, providers)
    findings += [each for each in missing if only in (None, each.subject)]
    findings += [*_lessons(configured, only), *_references(configured)]
    chosen = [endpoint for name, endpoint in endpoints.items() if only in (None, name)]
    if chosen:
        client = Client(Pool(len(chosen)))
        look = partial(check, client, call=call, now=datetime.now(UTC))
        with client.pool, ThreadPoolExecutor(len(chosen)) as threads:
            findings += [each for found in threads.map(look, chosen) for each in found]
    return Examined(findings, simulated)


def _files(configured: Settings) -> tuple[list[Finding], tuple[Provider, ...]]:
    findings: list[Finding] = []
    providers: tuple[Provider, ...] = ()
    folder = configured.config_dir
    for name, load in (("prompts", config_files.load_prompts), ("policy", config_files.load_policy)):
        try:
            load(folder)
        except ConfigError as error:
            findings.append(_wrong_file(name, error))
        else:
            findings.append(Finding("config", name, Status.OK, f"{name}.toml"))
    try:
        providers = config_files.load_providers(folder)
    except ConfigError as error:
        findings.append(_wrong_file("providers", error))
    else:
        names = ", ".join(provider.name for provider in providers)
        findings.append(Finding("config", "providers", Status.OK, f"providers.toml: {names}"))
        findings += [
            Finding(provider.name, "block", Status.WARNING, f"older words: {note}", "change config/providers.toml")
            for provider in providers
            for note in provider.notes
        ]
    return findings, providers


def _wrong_file(name: str, error: ConfigError) -> Finding:
    return Finding("config", name, Status.FAILED, str(error), "correct the file; TOOLOO_CONFIG_DIR names its folder")


def _endpoints(configured: Settings, providers: Sequence[Provider]) -> tuple[list[Finding], dict[str, Endpoint], bool]:
    """What cannot be called and why, what can, and whether it is simulated."""
    wrong: dict[str, Finding] = {}
    keys: dict[str, str | None] = {}
    for provider in providers:
        try:
            keys[provider.name] = configured.provider_key(provider.key_env) if provider.key_env else None
        except ConfigError as error:
            advice = f"put the key itself into {provider.key_env}, in the environment or in .env"
            wrong[provider.name] = Finding(provider.name, "key", Status.FAILED, str(error), advice)
    usable = tuple(provider for provider in providers if provider.name not in wrong)
    real = [provider for provider in usable if not provider.simulated]
    nothing_set = not wrong and not any(keys.values()) and all(provider.key_env for provider in real)
    if usable and not configured.lab_url and (nothing_set or len(real) < len(usable)):
        configured = _beside_a_lab(configured)
    endpoints, simulated = bootstrap.endpoints(configured, usable)
    left_out = [
        Finding(
            provider.name,
            "key",
            Status.WARNING,
            f"{provider.key_env} is not set: left out" if not nothing_set else f"{provider.key_env} is not set",
            f"set {provider.key_env} in the environment or in .env; with no key at all, `make up` simulates all",
        )
        for provider in real
        if provider.name not in endpoints
    ]
    return [*wrong.values(), *left_out, *_of_the_lab(usable, endpoints, simulated=simulated)], endpoints, simulated


def _of_the_lab(usable: Sequence[Provider], endpoints: Mapping[str, Endpoint], *, simulated: bool) -> Iterator[Finding]:
    """Which are simulated where others are real."""
    for provider in () if simulated else usable:
        if provider.simulated and provider.name in endpoints:
            yield Finding(
                provider.name, "simulated", Status.WARNING, "SIMULATED: the lab answers for it", "as its block says"
            )
        elif provider.simulated:
            yield Finding(
                provider.name,
                "simulated",
                Status.FAILED,
                "its block says simulated, and no lab answers",
                "set TOOLOO_LAB_URL",
            )


def _lessons(configured: Settings, only: str | None) -> list[Finding]:
    """What a running gateway does not ask its targets for, since they refused it."""
    ready = _asked(configured, "/readyz")
    if ready is None:
        return [Finding("gateway", "refusals", Status.SKIPPED, f"no gateway answers at {_url(configured)}")]
    refusals = ready.get("refusals", {})
    advice = "it is asked again after gateway.lesson_s; where it cannot at all, say so in capabilities of its block"
    learned = [
        Finding(target, "refusals", Status.WARNING, said, advice)
        for target, told in refusals.items()
        if only in (None, target.partition("/")[0])
        for said in told
    ]
    return learned or [Finding("gateway", "refusals", Status.OK, "no target refused what another one served")]


def _references(configured: Settings) -> list[Finding]:
    """Whether the objective can tell the targets apart, by the latest round of a running gateway."""
    answer = _asked(configured, "/api/v1/system/insights?limit=1")
    if answer is None or not answer.get("success"):
        return []
    beyond = [each for each in answer["data"]["insights"] if each["kind"] == "reference" and "beyond" in each["data"]]
    return [
        Finding("config", each["data"]["name"], Status.WARNING, each["text"], "change config/policy.toml, and restart")
        for each in beyond
    ]


def _url(configured: Settings) -> str:
    return configured.url or configured.api_url


def _asked(configured: Settings, path: str) -> dict[str, Any] | None:
    """What a running gateway answers; None: none does, or not in JSON."""
    key = configured.admin_key or configured.api_key
    try:
        found = http_calls.call(
            "GET", _url(configured) + path, key=key, own=configured.url is None, timeout=(1, 3)
        ).json()
    except (requests.RequestException, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _beside_a_lab(configured: Settings) -> Settings:
    """With the lab of `make up` named, where one answers."""
    url = configured.own_lab_url
    try:
        health = http_calls.call("GET", f"{url}/healthz", own=True, timeout=(1, 3)).json()
    except requests.RequestException:
        return configured
    is_lab = isinstance(health, dict) and health.get("simulated") is True
    return replace(configured, lab_url=url) if is_lab else configured


def show(examined: Examined) -> None:
    table = Table(box=None, pad_edge=False, collapse_padding=True, show_header=False)
    for name in ("sign", "subject", "check", "detail"):
        table.add_column(name, no_wrap=name != "detail", overflow="fold")
    before = None
    for finding in examined.findings:
        sign, style = SIGNS[finding.status]
        text = Text("\n→ ".join(map(one_line, filter(None, (finding.detail, finding.fix)))))
        table.add_row(sign, "" if finding.subject == before else finding.subject, finding.check, text, style=style)
        before = finding.subject
    console = Console()
    if examined.simulated:
        console.print("SIMULATED: no key is set, these are the lab's providers")
        console.print()
    console.print(table)
    counted = {status: sum(each.status is status for each in examined.findings) for status in Status}
    console.print()
    console.print(", ".join(f"{count} {status}" for status, count in counted.items() if count))
