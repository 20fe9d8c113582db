"""What the router is held to on a trace and in a regime, and by how much it is missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.replay.regimes.trial import Trial
from app.domain.replay.trace import Header

#: seeds that are held to the bars, and what is shown beside them
BAR_SEEDS = (0, 1, 2)
BASELINES = ("static", "epsilon-greedy", "ucb1", "thompson", "random")
#: captured: on scripted scenarios, on recorded time, and where neither can be reached
SCRIPTED, RECORDED = 0.95, 0.92
EXCEPTIONS: Mapping[str, float] = {"quality_regression": 0.85, "flapping": 0.91}
#: captured may be this much below that of `static`
BELOW_STATIC = 0.01
#: highest share of first attempts that fail; and requests after a change until the new best is served
FAILURES: Mapping[str, float] = {"outage_503_30min": 0.03}
ADAPTATION: Mapping[str, int] = {"degrade_recover": 100, "outage_503_30min": 100, "price_change": 100}

#: regimes, each seed by itself: captured may be this much below `utility-greedy`, and must be so much in some …
BELOW_GREEDY = 0.02
REGIMES: Mapping[str, float] = {
    "mix": 0.95,
    "local-70": 0.95,
    "tails-near-equal": 0.90,
    "tails-on-best": 0.90,
    "diurnal": 0.98,
    "100-targets": 0.94,
}
#: … and where the best target has a quota, more than `static` by this; of first attempts so many may fail by it
QUOTA_ABOVE_STATIC, QUOTA_FAILURES = 0.02, 0.01


def missed(header: Header, figures: Sequence[Mapping[str, Any]], static: Mapping[str, Any]) -> list[str]:
    """Each bar that one of the runs misses, in words with the numbers; nothing: all are met."""
    said: list[str] = []
    captured = [each["captured"] for each in figures if each["captured"] is not None]
    bar = EXCEPTIONS.get(header.name, SCRIPTED if header.simulated else RECORDED)
    if captured and min(captured) < bar:
        said.append(f"captured {min(captured):.3f} < {bar:g}")
    if captured and static["captured"] is not None and min(captured) < static["captured"] - BELOW_STATIC:
        said.append(f"captured {min(captured):.3f}, static {static['captured']:.3f}")
    failed, most = max((each["failRate"] or 0.0 for each in figures), default=0.0), FAILURES.get(header.name, 1.0)
    if failed > most:
        said.append(f"failed {failed:.2%} > {most:.0%}")
    limit = ADAPTATION.get(header.name)
    if limit is not None:
        slowest = [count for each in figures for count in each["adapt"] if count is None or count > limit]
        if slowest:
            worst = "never" if None in slowest else str(max(count for count in slowest if count is not None))
            said.append(f"adapts after {worst} > {limit} requests")
    return said


def missed_in_regime(trials: Sequence[Trial]) -> list[str]:
    """As `missed`; the worst seed speaks. Where all targets are alike nothing is captured, and no bar is held."""
    regime = trials[0].regime
    if any(each.figures["tooloo"]["captured"] is None for each in trials):
        return []
    quota = any(spec.per_minute is not None for spec in regime.targets.values())
    lowest = min(trials, key=lambda each: float(each.figures["tooloo"]["captured"]))
    captured, bar = lowest.figures["tooloo"]["captured"], REGIMES.get(regime.family)
    said = [f"captured {captured:.3f} < {bar:g} (seed {lowest.seed})"] if bar is not None and captured < bar else []
    said += _behind(trials, "static", QUOTA_ABOVE_STATIC if quota else -BELOW_STATIC)
    said += _behind(trials, "utility-greedy", -BELOW_GREEDY)
    limited = max(float(each.figures["tooloo"]["limitedRate"]) for each in trials)
    if limited > QUOTA_FAILURES:
        said.append(f"{limited:.2%} > {QUOTA_FAILURES:.0%} failed by quota")
    return said


def _behind(trials: Sequence[Trial], other: str, least: float) -> list[str]:
    """Is tooloo's captured not ahead of another policy's by at least so much, for one of the seeds?"""

    def ahead(each: Trial) -> float:
        return round(float(each.figures["tooloo"]["captured"] - each.figures[other]["captured"]), 4)

    worst = min(trials, key=ahead)
    if ahead(worst) >= least:
        return []
    return [f"{ahead(worst):+.3f} to {other}, {least:+g} is asked for (seed {worst.seed})"]
