"""tooloo replay: what a routing policy would have done on a recorded time."""

from __future__ import annotations

import gzip
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from app import settings
from app.cli import names
from app.cli.main import print_json
from app.config_files import load_policy
from app.domain.policy import Policy
from app.domain.replay.replay import POLICIES, Replay
from app.domain.replay.replay import replay as run
from app.domain.replay.thresholds import BAR_SEEDS, BASELINES, missed

#: of a recorded history, where nobody says otherwise
HISTORY_POLICIES = ("tooloo", "static", "random")


@click.command()
@click.argument("traces", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME",
    shell_complete=names.policies,
    help="tooloo, or a baseline; may be repeated.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice of the policy.")
@click.option("--decisions", type=click.Path(dir_okay=False, path_type=Path), help="Write the chosen providers here.")
@click.option("--from-history", "history", metavar="AGE", help="Replay what was recorded here, such as 7d or 12h.")
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), help="Write that history as a trace.")
@click.option("--bars", is_flag=True, help="Hold tooloo, seeds 0-2, to its bars on each trace, beside all baselines.")
@click.option("--regimes", is_flag=True, help="Simulated regimes instead of traces, each beside all other policies.")
@click.option("--regime", "wanted", multiple=True, metavar="NAME", help="Of the regimes this one; may be repeated.")
@click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Regimes of your own."
)
@click.option("--seeds", metavar="N,N,…", help="Of --regimes and --prompts.  [default: 0,1,2]")
@click.option("--markdown", is_flag=True, help="The table of regimes as Markdown.")
@click.option("--prompts", is_flag=True, help="The files are prompts with the grades and costs of several models.")
@click.option("--ceiling", "ceilings", multiple=True, type=float, metavar="USD", help="Of --prompts; may be repeated.")
@click.option("--every", type=click.IntRange(2), default=100, show_default=True, help="… requests from round to round.")
@click.option("--round-prompts", type=click.IntRange(1), default=10, show_default=True, help="… prompts of a round.")
@click.option("--same-prompts", is_flag=True, help="… which are the same in every round, not drawn afresh.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def replay(
    traces: tuple[Path, ...],
    policies: tuple[str, ...],
    seed: int,
    decisions: Path | None,
    history: str | None,
    export: Path | None,
    bars: bool,
    regimes: bool,
    wanted: tuple[str, ...],
    file: Path | None,
    seeds: str | None,
    markdown: bool,
    prompts: bool,
    ceilings: tuple[float, ...],
    every: int,
    round_prompts: int,
    same_prompts: bool,
    as_json: bool,
) -> None:
    """Replay tooloo-trace/1 files (gzipped or not) through the code that serves traffic, without servers.

    \b
    A policy sees what a live system sees: benchmark rounds, and of each request what the chosen provider gave.
    Policies: tooloo (default), static, utility-greedy, random, fixed:PROVIDER, epsilon-greedy, ucb1, thompson.
    captured: 0 = random choice, 1 = the best provider at every request. First attempts only, no failover.
    adapt: requests after each change of the best provider until 80 % went to the new one.
    Example:  tooloo replay trace.jsonl.gz
              tooloo replay *.jsonl.gz --policy tooloo --policy static --json
              tooloo replay trace.jsonl --policy tooloo --seed 1 --decisions chosen.txt
              tooloo replay --from-history 7d --export history.jsonl
              tooloo replay *.jsonl.gz --bars
              tooloo replay --regimes
              tooloo replay --regimes --regime mix --regime 20-targets --seeds 0,1
              tooloo replay --regimes --file my-regimes.toml --json
              tooloo replay --prompts prompts.csv.gz --ceiling 0.0007 --seeds 0,1
    Of a recorded request only the outcome of the provider that was chosen is known: for the others the nearest recorded
    call stands in, and nothing can be said of what was best.
    Exit codes: 0 done, 1 a trace cannot be read, or a bar is missed, 2 wrong usage.
    """
    drawn = BAR_SEEDS if seeds is None else _numbers(seeds)
    if regimes or wanted or file is not None or markdown:
        if traces or history is not None or policies or decisions is not None or bars or export is not None:
            raise click.UsageError("--regimes takes --regime, --file, --seeds, --json and --markdown alone")
        if not regimes:
            raise click.UsageError("--regime, --file and --markdown are for --regimes")
        _run_regimes(file, wanted, drawn, "json" if as_json else "markdown" if markdown else "table")
        return
    if not traces and history is None:
        raise click.UsageError("Missing argument 'TRACES...', or --from-history")
    constants = load_policy(settings.load().config_dir)
    if prompts:
        if policies or decisions is not None or history is not None:
            raise click.UsageError("--prompts goes with none of --policy, --decisions and --from-history")
        shape = (every, round_prompts, same_prompts)
        _run_prompts(traces, constants, shape, ceilings, drawn, as_json=as_json, strict=bars)
        return
    if seeds is not None:
        raise click.UsageError("--seeds is for --regimes and --prompts; a trace takes --seed")
    if bars:
        _hold_to_bars(traces, constants, as_json)
        return
    _run_traces(traces, policies, seed, decisions, history, export, constants, as_json=as_json)


def _run_traces(
    traces: Sequence[Path],
    policies: Sequence[str],
    seed: int,
    decisions: Path | None,
    history: str | None,
    export: Path | None,
    constants: Policy,
    *,
    as_json: bool,
) -> None:
    policies = policies or (("tooloo",) if history is None else HISTORY_POLICIES)
    _check_policies(policies)
    if decisions is not None and (len(traces) + (history is not None)) * len(policies) > 1:
        raise click.UsageError("--decisions writes one list: give one trace and one policy")
    replays = [_replay(path, name, constants, seed) for path in traces for name in policies]
    if history is not None:
        replays += _replay_history(history, export, policies, constants, seed)
    if decisions is not None:
        _write(decisions, replays[0])
    _show(replays, as_json)


def _run_regimes(file: Path | None, wanted: Sequence[str], seeds: Sequence[int], form: str) -> None:
    from app.cli.replay_regimes import run_regimes

    run_regimes(file, wanted, seeds, load_policy(settings.load().config_dir), form)


def _run_prompts(
    files: Sequence[Path],
    constants: Policy,
    shape: tuple[int, int, bool],
    ceilings: tuple[float, ...],
    seeds: tuple[int, ...],
    *,
    as_json: bool,
    strict: bool,
) -> None:
    from app.cli.replay_prompts import CEILINGS, replay_prompts  # what traces do not need
    from app.domain.replay.prompt_bars import Setting

    if any(not 0 < each < math.inf for each in ceilings):
        raise click.BadParameter("must be a number above 0", param_hint="--ceiling")
    setting = Setting(*shape, ceilings or CEILINGS, seeds)
    replay_prompts(files, constants, setting, as_json=as_json, strict=strict)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(each) for each in text.split(",")))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of whole numbers, such as 0,1,2", param_hint="--seeds") from None


def _check_policies(names: Sequence[str]) -> None:
    for name in names:
        if name not in POLICIES and not name.startswith("fixed:"):
            known = ", ".join(POLICIES)
            raise click.BadParameter(
                f"{name!r} is no policy; known are: {known}, fixed:PROVIDER", param_hint="--policy"
            )


def _replay_history(
    age: str, export: Path | None, policies: Sequence[str], constants: Policy, seed: int
) -> list[Replay]:
    from app.cli.history import recorded_lines  # the database: what a trace in a file does not need

    lines = recorded_lines(age, constants)
    if export is not None:
        _put(export, "".join(lines))
    return [run(lines, name, constants, seed) for name in policies]


def _show(replays: Sequence[Replay], as_json: bool) -> None:
    if as_json:
        print_json({"results": [_shown(each) for each in replays]})
        return
    from app.cli.replay_tables import print_replays  # rich: what --json does not need

    print_replays(replays)


def _replay(path: Path, policy_name: str, constants: Policy, seed: int) -> Replay:
    try:
        return run(read_lines(path), policy_name, constants, seed)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise click.ClickException(f"{path}: {error}") from None


def read_lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rt", encoding="utf-8", newline="") if gzipped else path.open(encoding="utf-8") as file:
        yield from file


def _hold_to_bars(traces: tuple[Path, ...], constants: Policy, as_json: bool) -> None:
    rows = []
    for path in traces:
        ours = [_replay(path, "tooloo", constants, seed) for seed in BAR_SEEDS]
        others = {name: _replay(path, name, constants, 0) for name in BASELINES}
        failed = missed(ours[0].header, [each.figures for each in ours], others["static"].figures)
        rows.append((ours, others, failed))
    if as_json:
        print_json(
            {
                "results": [_shown(each) for ours, others, _ in rows for each in (*ours, *others.values())],
                "missed": {ours[0].header.name: failed for ours, _, failed in rows if failed},
            }
        )
    else:
        from app.cli.replay_tables import print_bars  # rich: what --json does not need

        print_bars(rows)
    if any(failed for _, _, failed in rows):
        sys.exit(1)


def _write(path: Path, done: Replay) -> None:
    _put(path, "".join(f"{provider}\n" for provider in done.decisions))


def _put(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None


def _shown(done: Replay) -> dict[str, Any]:
    return {
        "trace": done.header.name,
        "simulated": done.header.simulated,
        "policy": done.policy_name,
        "seed": done.seed,
        **done.figures,
    }
