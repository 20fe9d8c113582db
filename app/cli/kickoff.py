"""tooloo kickoff, the last step of `tooloo up`: wait until all serves, start a first round, say where things are."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import click
import requests

from app import bootstrap, http_calls, logs, settings
from app.benchmark import benchmark, reaper
from app.cli.terminal import say
from app.errors import DependencyUnavailable, OverBudget
from app.live import live_config
from app.providers import checkup
from app.providers.checkup import Finding, Status
from app.services import Services
from app.settings import Settings
from app.store import database, rounds

PATIENCE_S = 60.0


@click.command()
def kickoff() -> None:
    """Wait for the stack, start a round at once, print a summary. `tooloo up` runs this by itself.

    \b
    Example:  tooloo kickoff
    """
    configured = settings.load()
    logs.configure(configured.log_format, configured.log_level)
    services = bootstrap.build(configured, threads=1)
    if services.simulated or services.simulated_beside_real:
        _wait_for_page(f"{configured.lab_url}/healthz")
    _wait_for_page(f"{configured.api_url}/readyz")
    bootstrap.wait_for(services)
    services.config.refresh(services.redis)
    # where TOOLOO_FLOWER_AUTH is set, a refusal is how it serves us
    _wait_for_page(f"{configured.flower_url}/", requests.codes.ok, requests.codes.unauthorized)
    # last, because a round beside processes that are still starting would measure them too
    round_id = first_round(services)
    for line in summary(configured, services, round_id):
        say(line)
    for finding in broken(services):
        say(f"  NEEDS YOU     {finding.subject}: {finding.detail}")
        say(f"                → {finding.fix}")


def first_round(services: Services) -> str:
    """What the reaper finds to do (a round that the last stop interrupted, the current slot), else one of its own.

    The round's id, or why there is none.
    """
    reaper.reap(services)
    with database.transaction(services.sessions) as session:
        running = rounds.open_rounds(session)
    try:
        return running[-1] if running else benchmark.start_round(services, "startup")
    except OverBudget as error:
        return str(error)


def summary(configured: Settings, services: Services, round_id: str) -> list[str]:
    """What a person wants to know now, line by line."""
    api = configured.api_url
    left_out = services.left_out(services.config.value)
    names = [p.name for p in services.providers if p.name not in left_out]
    lines = [
        "",
        f"TooLoo is ready: {api}",
        f"  dashboard     {api}/",
        f"  scorecard     {api}/api/v1/system/scorecard",
        f"  results       {api}/api/v1/system/benchmark-results",
        f"  config        {api}/api/v1/system/runtime-config",
        f"  Flower        {configured.flower_url}",
    ]
    if services.simulated:
        lines += [
            f"  lab           {services.settings.lab_url}",
            f"  SIMULATED     {', '.join(names)}: no provider key is set, the lab answers for all of them",
        ]
    else:
        lab = services.simulated_beside_real
        lines.append(f"  real          {', '.join(name for name in names if name not in lab)}")
        lines += [f"  SIMULATED     {', '.join(lab)}: by the lab at {services.settings.lab_url}"] if lab else []
    lines += [f"  left out      {name}: {reason}" for name, reason in left_out.items()]
    lines += [
        _first(round_id),
        '  try           tooloo chat "What is a mutex?"',
        "  needs you?    tooloo status",
    ]
    return lines


def _first(round_id: str) -> str:
    """`round_id` may be the reason why there is none."""
    watch = f"; watch it with: tooloo benchmark --watch {round_id}" if round_id.startswith("benchmark-") else ""
    return f"  first round   {round_id}{watch}"


def broken(services: Services) -> list[Finding]:
    """Keys that are refused and providers that are not there: asked for their list of models, which costs nothing."""
    disabled = services.left_out(services.config.value)
    endpoints = [each for name, each in services.endpoints.items() if not (each.provider.simulated or name in disabled)]
    if not endpoints:
        return []
    look = partial(checkup.check, services.client, call=False, now=live_config.utc_now())
    with ThreadPoolExecutor(len(endpoints)) as threads:
        found = [finding for each in threads.map(look, endpoints) for finding in each]
    return [each for each in found if each.status is Status.FAILED and each.check in ("key", "reachable", "model")]


def _wait_for_page(url: str, *answers: int) -> None:
    """Until it answers with one of these statuses, 200 if none is named."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            if http_calls.call("GET", url, own=True, timeout=5).status_code in (answers or (requests.codes.ok,)):
                return
        except requests.RequestException:
            pass
        if time.monotonic() > give_up_at:
            raise DependencyUnavailable(f"{url} does not answer after {PATIENCE_S:.0f} s")
        time.sleep(0.1)
