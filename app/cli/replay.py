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
@click.option("--policy", "policies", multiple=True, metavar="NAME", help="tooloo, or a baseline; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice of the policy.")
@click.option("--decisions", type=click.Path(dir_okay=False, path_type=Path), help="Write the chosen providers here.")
@click.option("--from-history", "history", metavar="AGE", help="Replay what was recorded here, such as 7d or 12h.")
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), help="Write that history as a trace.")
@click.option("--bars", is_flag=True, help="Hold tooloo, seeds 0-2, to its bars on each trace, beside all baselines.")
@click.option("--prompts", is_flag=True, help="The files are prompts with the grades and costs of several models.")
@click.option("--ceiling", "ceilings", multiple=True, type=float, metavar="USD", help="Of --prompts; may be repeated.")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="… so many, from --seed on.")
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
    prompts: bool,
    ceilings: tuple[float, ...],
    seeds: int,
    every: int,
    round_prompts: int,
    same_prompts: bool,
    as_json: bool,
) -> None:
    """Replay tooloo-trace/1 files (gzipped or not) through the code that serves traffic, without servers.

    \b
    A policy sees what a live system sees: benchmark rounds, and of each request what the chosen provider gave.
    Policies: tooloo (default), static, random, fixed:PROVIDER, epsilon-greedy, ucb1, thompson.
    captured: 0 = random choice, 1 = the best provider at every request. First attempts only, no failover.
    adapt: requests after each change of the best provider until 80 % went to the new one.
    Example:  tooloo replay trace.jsonl.gz
              tooloo replay *.jsonl.gz --policy tooloo --policy static --json
              tooloo replay trace.jsonl --policy tooloo --seed 1 --decisions chosen.txt
              tooloo replay --from-history 7d --export history.jsonl
              tooloo replay *.jsonl.gz --bars
              tooloo replay --prompts prompts.csv.gz --ceiling 0.0007 --seeds 5
    Of a recorded request only the outcome of the provider that was chosen is known: for the others the nearest recorded
    call stands in, and nothing can be said of what was best.
    Exit codes: 0 done, 1 a trace cannot be read, or a bar is missed, 2 wrong usage.
    """
    if not traces and history is None:
        raise click.UsageError("Missing argument 'TRACES...', or --from-history")
    constants = load_policy(settings.load().config_dir)
    if prompts:
        from app.cli.replay_prompts import CEILINGS, replay_prompts  # what traces do not need
        from app.domain.replay.prompt_bars import Setting

        if policies or decisions is not None or history is not None:
            raise click.UsageError("--prompts goes with none of --policy, --decisions and --from-history")
        if any(not 0 < each < math.inf for each in ceilings):
            raise click.BadParameter("must be a number above 0", param_hint="--ceiling")
        drawn = tuple(range(seed, seed + seeds))
        setting = Setting(every, round_prompts, same_prompts, ceilings or CEILINGS, drawn)
        replay_prompts(traces, constants, setting, as_json=as_json, strict=bars)
        return
    if bars:
        _hold_to_bars(traces, constants, as_json)
        return
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
