"""tooloo replay --prompts: real prompts with the grades and costs of several models, under ceilings in money."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from app.cli.main import print_json
from app.domain.policy import Policy
from app.domain.replay import prompt_bars, prompts
from app.domain.replay.prompt_bars import Held, Report, Setting

#: USD per request
CEILINGS = (0.0003, 0.0007, 0.0019, 0.0053)


def replay_prompts(paths: Sequence[Path], policy: Policy, setting: Setting, *, as_json: bool, strict: bool) -> None:
    """Print what TooLoo does with each file, beside what is known to hindsight; `strict`: exit 1 on a missed bar."""
    reports = {path.name: _report(path, setting, policy) for path in paths}
    if as_json:
        print_json({"results": [{"file": name, **shown(each)} for name, each in reports.items()]})
    else:
        from app.cli.replay_tables import print_prompts  # rich: what --json does not need

        for name, each in reports.items():
            print_prompts(name, each)
    if strict and any(not bar.met and not bar.moot for each in reports.values() for bar in each.held):
        sys.exit(1)


def _report(path: Path, setting: Setting, policy: Policy) -> Report:
    from app.cli.replay import read_lines

    try:
        return prompt_bars.report(prompts.read(read_lines(path)), setting, policy)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise click.ClickException(f"{path}: {error}") from None


def shown(each: Report) -> dict[str, Any]:
    setting = each.setting
    return {
        "requests": each.requests,
        "heldOutPrompts": each.held_out,
        "rounds": each.rounds,
        "promptsPerRound": setting.per_round,
        "samePrompts": setting.fixed,
        "seeds": list(setting.seeds),
        "fixed": {model: {"reward": offer.value, "costUsd": offer.cost_usd} for model, offer in each.fixed.items()},
        "ceilings": [
            {
                "maxCostUsd": ceiling,
                "runs": [{"reward": run.reward, "costUsd": run.cost_usd} for run in runs],
                "hindsight": [dict(found) for found in known],
            }
            for ceiling, runs, known in zip(setting.ceilings, each.steady, each.hindsight, strict=True)
        ],
        "bars": [bar(one) for one in each.held],
    }


def bar(held: Held) -> dict[str, Any]:
    return {
        "name": held.name,
        "maxCostUsd": held.ceiling_usd,
        "figures": list(held.figures),
        "bar": held.bar,
        "met": held.met,
        "moot": held.moot or None,
    }
