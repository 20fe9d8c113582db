"""tooloo lab: the simulated providers, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import requests
from rich.table import Table

from app import http_calls, settings
from app.cli import names
from app.cli.client import Unreachable
from app.cli.console import Console
from app.cli.main import print_json
from app.cli.terminal import say
from app.cli.values import value
from app.config_files import load_prompts, load_providers
from app.settings import Settings

#: answers of the lab that are the caller's mistake: a figure or provider that is not there, a value out of range
_USAGE = {400, 404}

#: what `show` shows of a profile, and above what
COLUMNS = {
    "latency": "ms",
    "tokens_per_s": "tok/s",
    "error_rate": "errors",
    "error_kind": "kind",
    "input_price": "$in",
    "output_price": "$out",
    "quality": "quality",
}


class WrongUsage(click.ClickException):
    exit_code = 2


@click.group()
def lab() -> None:
    """Simulated providers: see what they are like, change them while they run, or play a recorded trace.

    \b
    Example:  tooloo lab show
              tooloo lab set deepseek latency=450 error_rate=0.1
              tooloo lab reset
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the lab is not reachable.
    """


@lab.command()
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def show(as_json: bool) -> None:
    """What each simulated provider is like at the moment, and what it has been asked.

    \b
    Example:  tooloo lab show
    """
    profiles, seen = _call("GET", "/lab/profiles"), _call("GET", "/lab/requests?last=0")["providers"]
    trace = _call("GET", "/lab/trace") if profiles.get("trace") else None
    if as_json:
        print_json({**profiles, "requests": seen, "trace": trace})
    elif trace is not None:
        _print_trace(trace, seen)
    else:
        _print_profiles(profiles, seen)


@lab.command("set")
@click.argument("provider", shell_complete=names.providers)
@click.argument("assignments", nargs=-1, required=True, metavar="FIGURE=VALUE…", shell_complete=names.figures)
@click.option("--json", "as_json", is_flag=True, help="Print the provider's new figures.")
def set_(provider: str, assignments: tuple[str, ...], as_json: bool) -> None:
    """Change figures of a simulated provider; they hold from the next request on.

    \b
    latency, fail_latency (ms) · sigma · tokens_per_s · error_rate (0..1) · input_price, output_price (USD per
    million tokens) · quality (0..1), prompt_quality.PROMPT (0..1, or null) · reasoning_tokens · tool_rate (0..1) ·
    rpm, tpm (requests and tokens per minute, 0: no limit) ·
    refusals.RULE (true, false, or null: is this kind of wrong request refused, as the real one does?) ·
    error_kind: server_error, rate_limited, overloaded, timeout, cut, out_of_credit, bad_key, empty, filter, blocked,
    error_inside, model_unknown, context_too_long, bad_request
    Example:  tooloo lab set deepseek latency=450 error_rate=0.1
              tooloo lab set openai error_rate=1 error_kind=timeout
              tooloo lab set openai rpm=60
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise click.UsageError(f"write FIGURE=VALUE: got {assignment!r}")
        figure, dot, prompt = name.partition(".")
        if dot:
            changes.setdefault(figure, {})[prompt] = value(text)
        else:
            changes[figure] = value(text)
    figures = _call("PATCH", f"/lab/profiles/{provider}", changes)
    if as_json:
        print_json(figures)
    else:
        say(f"{provider}: " + ", ".join(f"{name} = {figures[name]}" for name in changes))


@lab.command()
@click.option("--profile", default=None, help="Switch to this named set of figures: standard or realistic.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures.")
def reset(profile: str | None, as_json: bool) -> None:
    """Undo every change.

    \b
    Example:  tooloo lab reset
              tooloo lab reset --profile realistic
    """
    profiles = _call("POST", f"/lab/profile/{profile}" if profile else "/lab/reset", {})
    if as_json:
        print_json(profiles)
    else:
        say(f"profile {profiles['profile']}, without changes")


@lab.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=None, help="Default: TOOLOO_LAB_PORT, else 4010.")
@click.option("--profile", default="standard", show_default=True, help="Named set of figures to begin with.")
@click.option("--trace", type=click.Path(path_type=Path), default=None, help="Play this tooloo-trace/1 file.")
@click.option("--speed", type=click.FloatRange(0.01, 10_000), default=None, help="Times as fast as recorded.")
@click.option("--seed", type=int, default=None, help="Draw the same each time: TOOLOO_LAB_SEED.")
@click.option("--json", "as_json", is_flag=True, help="Say in JSON where it listens.")
def serve(
    port: int | None, profile: str, trace: Path | None, speed: float | None, seed: int | None, as_json: bool
) -> None:
    """Serve the simulated providers until stopped, on 127.0.0.1 unless TOOLOO_LAB_HOST names another address.

    \b
    Example:  tooloo lab serve
              tooloo lab serve --trace trace.jsonl.gz --speed 50
    """
    # the server's libraries are in the extra named local; the other commands do without
    from app.lab.answers import answer
    from app.lab.playback import Playback
    from app.lab.recording import recorder
    from app.lab.serve import serve as run
    from app.lab.server import create_app
    from app.lab.trace import read_trace
    from app.lab.trace_config import providers_of

    configured = settings.load()
    file, times, port = trace or configured.lab_trace, speed or configured.lab_speed, port or configured.lab_port
    seed = configured.lab_seed if seed is None else seed
    playback = Playback(read_trace(file), times) if file is not None else None
    providers = providers_of(playback.trace, times) if playback else load_providers(configured.config_dir)
    prompts = load_prompts(configured.config_dir)
    host, loopback = configured.lab_host, configured.lab_host in settings.LOOPBACK
    witness = recorder(configured.lab_record) if configured.lab_record else None
    app = create_app(
        providers, prompts, answer,
        profile=profile, playback=playback, seed=seed, loopback=loopback, witness=witness,
    )  # fmt: skip
    served = {"url": f"http://{host}:{port}", "simulated": True, "providers": [p.name for p in providers]}
    playing = f", playing {playback.trace.name} at speed {times:g}" if playback else f", profile {profile}"
    as_json = as_json or configured.environment.get("TOOLOO_LOG_FORMAT", "").strip().lower() == "json"
    line = f"lab (simulated providers) on {served['url']}: {', '.join(p.name for p in providers)}{playing}"
    try:
        run(app, host, port, lambda: say(json.dumps(served) if as_json else line))
    except OSError as error:
        raise click.ClickException(f"the lab cannot listen on port {port}: {error.strerror or error}") from None


@lab.command()
@click.argument("trace", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write.")
@click.option("--speed", type=click.FloatRange(0.01, 10_000), default=None, help="As it will be given to serve.")
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@click.option("--json", "as_json", is_flag=True, help="Say in JSON what was written.")
def config(trace: Path, output: Path, speed: float | None, force: bool, as_json: bool) -> None:
    """Write the config folder that goes with a trace: its providers, its objective, the current prompts.

    What is measured from a trace is recorded time ÷ speed, so the objective's latency reference is divided as well:
    give the same speed here and to serve.

    \b
    Example:  tooloo lab config trace.jsonl.gz --speed 50 --output /tmp/trace-config
              TOOLOO_CONFIG_DIR=/tmp/trace-config TOOLOO_LAB_TRACE=trace.jsonl.gz TOOLOO_LAB_SPEED=50 tooloo up
    """
    from app.lab.trace import read_trace
    from app.lab.trace_config import FILES, write_config

    configured = settings.load()
    times = speed or configured.lab_speed
    write_config(read_trace(trace), times, configured.config_dir, output, replace_files=force)
    written = [str(output / name) for name in FILES]
    if as_json:
        print_json({"written": written, "speed": times})
    else:
        say(f"written for speed {times:g}: {', '.join(written)}")


def _call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """`data` of the lab's answer; leaves with the exit code that fits else."""
    base = _url(settings.load())
    try:
        response = http_calls.call(method, base + path, json=body, timeout=(3, 10))
        answer = response.json()
    except requests.RequestException:
        raise Unreachable(f"no lab answers at {base}: is `make up` or `tooloo lab serve` running?") from None
    if answer.get("success"):
        return answer["data"]
    message = answer.get("error", {}).get("message", f"the lab answered {response.status_code}")
    raise (WrongUsage if response.status_code in _USAGE else click.ClickException)(message)


def _url(configured: Settings) -> str:
    return configured.lab_url or configured.own_lab_url


def _print_profiles(profiles: dict[str, Any], seen: dict[str, Any]) -> None:
    table = Table(
        title=f"SIMULATED providers, profile {profiles['profile']} (* changed; $ per million tokens)",
        title_justify="left", box=None, pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    for column in ("provider", *COLUMNS.values(), "calls", "failed"):
        table.add_column(column, justify="left" if column in ("provider", "kind") else "right", no_wrap=True)
    for name, profile in profiles["providers"].items():
        marks = ["*" if figure in profile["changed"] else "" for figure in COLUMNS]
        cells = [f"{mark}{_shown(profile[figure])}" for mark, figure in zip(marks, COLUMNS, strict=True)]
        table.add_row(name, *cells, str(seen[name]["calls"]), str(seen[name]["errors"]))
        for prompt, quality in profile["prompt_quality"].items():
            table.add_row("", *[""] * (len(COLUMNS) - 1), f"*{quality:g}", f"for {prompt}")
    # without lines it fits 80 columns
    Console().show(table)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _print_trace(trace: dict[str, Any], seen: dict[str, Any]) -> None:
    kind = "recorded" if trace["recorded"] else "scripted"
    say(
        f"SIMULATED: the lab plays {trace['trace']} ({kind}) at speed {trace['speed']:g}, moved by {trace['mode']}: "
        f"round {trace['round']} of {trace['rounds']}, request {trace['request']} of {trace['requests']}"
    )
    for name, counters in seen.items():
        say(f"  {name}: {counters['calls']} calls, {counters['errors']} failed")
