"""Insights: what the optimizer saw and did, in sentences that name their numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median

from app.domain.evidence.evidence import Evidence
from app.domain.evidence.references import Reference, References
from app.domain.insight import Insight
from app.domain.optimizer.gains import Gain
from app.domain.optimizer.moves import Move
from app.domain.optimizer.weight_moves import Triple, latency_spread, worst_success
from app.domain.outcome import Outcome
from app.domain.policy import Objective, WeightsPolicy
from app.domain.shown import points, share
from app.errors import AccountProblem, BadKey, ModelUnknown, OutOfCredit


def became_slow(name: str, latency_ms: float, baseline_ms: float, *, of_a_part: bool = False) -> Insight:
    """`of_a_part`: the baseline is not what was measured, but what the prompts that were asked would make of it."""
    ratio = latency_ms / baseline_ms
    was = "with these prompts expected" if of_a_part else "was"
    text = f"{name} latency {latency_ms:.0f} ms, {was} {baseline_ms:.0f} ms (×{ratio:.2f})"
    return Insight("latency", text, {"latencyMs": latency_ms, "baselineMs": baseline_ms, "ratio": round(ratio, 3)})


def became_unreliable(name: str, success: float, probes: int, limit: float) -> Insight:
    text = f"{name} success {success:.0%} is below {limit:.0%}"
    return Insight("reliability", text, {"success": success, "probes": probes})


def exploration(alarms: Collection[Insight], was: float, rate: float) -> list[Insight]:
    """What the alarms, or their absence, did to the exploration rate."""
    changed = shown(was) != shown(rate)
    moved = f"exploration {shown(was)} → {shown(rate)}" if changed else f"exploration {shown(rate)}"
    if not alarms and rate < was:
        return [Insight("exploration", f"no target became slow or unreliable: {moved}", {"rate": rate})]
    return [Insight(alarm.kind, f"{alarm.text}: {moved}", alarm.data) for alarm in alarms]


def weights(before: Triple, move: Move, known: Collection[Evidence], limits: WeightsPolicy) -> list[Insight]:
    """What became of the weights, and what the rounds remembered say of it."""
    gain = move.gain
    moved = f"weights {_all_shown(before)} → {_all_shown(move.weights)}"
    spread = round(latency_spread(known), 4)
    data = {"before": before, "after": move.weights, "spread": spread, **(gain.to_json() if gain else {})}
    if move.verdict == "partial":
        return [Insight("partial", "not every prompt ran on every provider: nothing moves", data)]
    if move.verdict == "contradicted":
        text = f"weights stay {_all_shown(before)}: {_why(known, limits)}, but others {_earned(gain)}"
        return [Insight("weights", text, data)]
    if move.verdict == "rolled_back":
        return [Insight("rollback", f"{moved}: the older weights {_earned(gain)}", data)]
    if move.verdict == "better":
        return [Insight("weights", f"{moved}: they {_earned(gain)}", data)]
    if move.verdict == "proposed":
        return [Insight("weights", f"{moved}: {_why(known, limits)}; they {_earned(gain)}", data)]
    return []


def _earned(gain: Gain | None) -> str:
    if gain is None:
        return "are to be tested by the rounds that follow"
    if gain.value == gain.low == gain.high == 0:
        return f"would have chosen the same in the latest {gain.rounds} rounds"
    more = "more" if gain.value >= 0 else "less"
    return f"would have earned {points(abs(gain.value))} {more} per call {_between(gain)}"


def _between(gain: Gain) -> str:
    return f"(between {points(gain.low)} and {points(gain.high)})"


def worth_more(name: str, preferred: str, gain: Gain) -> Insight:
    """What no weights near these can repair, or not yet."""
    text = (
        f"by your objective {name} is worth {points(gain.value)} more per call than {preferred}, "
        f"which your weights prefer {_between(gain)}"
    )
    return Insight("objective", text, {"target": name, "preferred": preferred, **gain.to_json()})


#: by error class: what is wrong, and what a person is to do about it
_TO_MEND = {
    BadKey.code: ("its key is refused", "put a valid key into {key}, and start TooLoo again"),
    OutOfCredit.code: ("its account has no credit left", "add credit to the account of {key}"),
    AccountProblem.code: ("its account may not do this", "look into the account of {key}"),
    ModelUnknown.code: ("it does not have this model", "correct the model in config/providers.toml"),
}


def references(declared: Objective, before: References, after: References) -> list[Insight]:
    """What counts as too slow and too dear from now on, where policy.toml leaves it open."""
    found = []
    if not declared.latency_ref_ms and before.latency_ms.value != after.latency_ms.value:
        found.append(_reference("latency_ref_ms", before.latency_ms, after.latency_ms, "{:.0f} ms"))
    if not declared.cost_ref_usd and before.cost_usd.value != after.cost_usd.value:
        found.append(_reference("cost_ref_usd", before.cost_usd, after.cost_usd, "${:.2g}"))
    return found


def _reference(name: str, before: Reference, after: Reference, unit: str) -> Insight:
    was = f" (was {unit.format(before.value)})" if before.value else ""
    text = (
        f"{name} is {unit.format(after.value)}{was}: twice what is usual here, {unit.format(after.usual)}, "
        f"as policy.toml declares none"
    )
    return Insight("reference", text, {"name": name, "reference": after.value, "usual": after.usual})


def beyond_references(outcomes: Collection[Outcome], objective: Objective) -> list[Insight]:
    """Of those that are declared: where most answers lie beyond one, the objective cannot tell them apart."""
    answered = [outcome for outcome in outcomes if outcome.success and outcome.counts]
    latencies = [outcome.latency_ms for outcome in answered]
    costs = [outcome.cost_usd for outcome in answered if outcome.cost_usd is not None]
    said = [
        _beyond(latencies, objective.latency_ref_ms, "latency_ref_ms", "took longer than {:.0f} ms", "slower"),
        _beyond(costs, objective.cost_ref_usd, "cost_ref_usd", "cost more than {:g} USD", "dearer"),
    ]
    return [each for each in said if each is not None]


def _beyond(values: Sequence[float], reference: float, name: str, what: str, worse: str) -> Insight | None:
    beyond = sum(value > reference for value in values)
    if not reference or 2 * beyond <= len(values):
        return None
    # two digits of twice the middle one: what is slow, or dear, here
    better = float(f"{2 * median(values):.2g}")
    text = (
        f"{beyond} of {len(values)} answers {what.format(reference)}, beyond which {worse} is not worse by your "
        f"objective: declare another {name} in policy.toml, such as {better:g}, or none, and it is learned"
    )
    data = {"name": name, "reference": reference, "beyond": beyond, "answers": len(values), "suggested": better}
    return Insight("reference", text, data)


def needs_person(outcomes: Collection[Outcome], keys: Mapping[str, str]) -> list[Insight]:
    """What only people can mend, by provider and error; it is no evidence about anything else.

    `keys`: by provider, the variable its key is in.
    """
    failed: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.needs_person and outcome.error_class is not None:
            failed.setdefault((outcome.target.provider, outcome.error_class), []).append(outcome)
    return [_to_mend(provider, error, mine, keys) for (provider, error), mine in failed.items()]


def _to_mend(provider: str, error: str, failed: Sequence[Outcome], keys: Mapping[str, str]) -> Insight:
    wrong, do = _TO_MEND[error]
    do = do.format(key=keys.get(provider, "the variable that config/providers.toml names"))
    models = sorted({outcome.target.model for outcome in failed})
    text = f"{provider} needs a person: {wrong} ({', '.join(models)}; {len(failed)} calls): {do}"
    data = {"provider": provider, "models": models, "error": error, "calls": len(failed), "do": do}
    return Insight("needs_person", text, data)


def _why(known: Collection[Evidence], limits: WeightsPolicy) -> str:
    spread = latency_spread(known)
    if worst_success(known, limits.unreliable_sigma) < limits.unreliable_below:
        return f"worst success {worst_success(known):.0%} is below {limits.unreliable_below:.0%}"
    if spread > limits.spread_above:
        return f"latency spread {shown(spread)} is above {shown(limits.spread_above)}"
    return f"latency spread {shown(spread)} is below {shown(limits.spread_above)}, and all targets are reliable"


def best(scores: Mapping[str, float]) -> list[Insight]:
    if not scores:
        return []
    name = max(scores, key=scores.__getitem__)
    rounded = {each: round(score, 4) for each, score in scores.items()}
    return [Insight("best", f"Best provider: {name} (score: {scores[name]:.3f})", {"scores": rounded})]


def shown(value: float) -> str:
    """.10 or .125, as the specification writes shares."""
    return share(value)


def _all_shown(weights: Triple) -> str:
    return "(" + ", ".join(shown(value) for value in weights) + ")"
