"""What the router is held to on a trace, and by how much it is missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
