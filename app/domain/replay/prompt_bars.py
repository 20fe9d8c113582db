"""What a replay over prompts is held to: the money, the reward, and how soon a change is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.policy import Policy
from app.domain.replay.prompt_run import Run, hindsight, run
from app.domain.replay.prompt_stream import KINDS, Kind, Stream, changing, means, mixture, reward, stream
from app.domain.replay.prompts import Question
from app.domain.routing.ceiling import Offer

#: mean cost, as a share of the ceiling
SPEND = 1.01
#: of a silent regression: rounds until most of the traffic has left; of a newcomer: requests until it is used
ROUNDS, REQUESTS = 1, 142
#: of the last requests this share of what the best mixture would send is use
WINDOW, SHARE = 30, 0.5
#: mean reward that a change must be worth, in hindsight, to be waited for
STAKE = 0.01


@dataclass(frozen=True, slots=True)
class Setting:
    """How the prompts become streams."""

    every: int
    per_round: int
    fixed: bool
    ceilings: tuple[float, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """One bar at one ceiling, over all seeds."""

    name: str
    ceiling_usd: float
    #: by seed; None: never
    figures: tuple[float | None, ...]
    bar: float
    met: bool
    #: why it is not to be held to it
    moot: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Of one file; figures are means over the seeds."""

    setting: Setting
    requests: int
    held_out: int
    rounds: int
    #: mean reward and cost of each model alone
    fixed: Mapping[str, Offer]
    steady: tuple[tuple[Run, ...], ...]
    #: by ceiling, then by seed
    hindsight: tuple[tuple[Mapping[str, float], ...], ...]
    held: tuple[Held, ...]


def report(questions: Sequence[Question], setting: Setting, policy: Policy) -> Report:
    streams = [stream(questions, seed, setting.every, setting.per_round, fixed=setting.fixed) for seed in setting.seeds]
    steady, known, held = [], [], []
    for ceiling in setting.ceilings:
        runs = tuple(run(each, ceiling, policy, seed) for each, seed in zip(streams, setting.seeds, strict=True))
        steady.append(runs)
        known.append(tuple(hindsight(each, ceiling) for each in streams))
        held += [_spend("spend", ceiling, runs), _reward(ceiling, runs, known[-1])]
        for kind in KINDS[1:]:
            changed = tuple(
                run(changing(each, kind, ceiling), ceiling, policy, seed)
                for each, seed in zip(streams, setting.seeds, strict=True)
            )
            held += [_spend(f"spend, {kind}", ceiling, changed), _seen(kind, ceiling, changed)]
    first = streams[0]
    everything = first.within(0, len(first.requests))
    return Report(
        setting,
        requests=len(first.requests),
        held_out=len(questions) - len(first.requests),
        rounds=len(first.rounds),
        fixed=means(everything, first.requests[0].answers),
        steady=tuple(steady),
        hindsight=tuple(known),
        held=tuple(held),
    )


def _spend(name: str, ceiling_usd: float, runs: Sequence[Run]) -> Held:
    found = tuple(each.cost_usd / ceiling_usd for each in runs)
    return Held(name, ceiling_usd, found, SPEND, met=max(found) <= SPEND)


def _reward(ceiling_usd: float, runs: Sequence[Run], known: Sequence[Mapping[str, float]]) -> Held:
    """Of the mean over the seeds, to three digits as the bar is given: the luck of one draw is more than that."""
    bar = sum(each["mixture"] for each in known) / len(known)
    found = tuple(each.reward for each in runs)
    return Held("reward", ceiling_usd, found, bar, met=round(sum(found) / len(found), 3) >= round(bar, 3))


def _seen(kind: Kind, ceiling_usd: float, runs: Sequence[Run]) -> Held:
    stakes = [stake(each.stream, ceiling_usd) for each in runs]
    moot = f"worth {max(stakes):.3f} at most" if min(stakes) < STAKE else ""
    found = tuple(noticed(each) if kind == "regression" else adopted(each, ceiling_usd) for each in runs)
    bar = ROUNDS if kind == "regression" else REQUESTS
    return Held(kind, ceiling_usd, found, bar, met=all(each is not None and each <= bar for each in found), moot=moot)


def stake(changed: Stream, ceiling_usd: float) -> float:
    """What it is worth, from the change on, to take notice of it."""
    change, after = changed.change, _after(changed)
    best = reward(after, ceiling_usd)
    if change.kind == "newcomer":
        return best - reward({model: offer for model, offer in after.items() if model != change.model}, ceiling_usd)
    former = mixture(means(changed.within(0, change.at), after), ceiling_usd)
    return best - sum(share * after[model].value for model, share in former.items())


def _after(changed: Stream) -> dict[str, Offer]:
    answers = changed.within(changed.change.at, len(changed.requests))
    return means(answers, answers[0])


def noticed(done: Run) -> int | None:
    """Rounds after a regression until its model has at most half of the traffic that it had; None: never.

    Of the requests between that round and the next one.
    """
    change, every = done.stream.change, done.stream.every
    usual = _share(done, change.at - every, change.at)
    after = [each.at for each in done.stream.rounds if each.at >= change.at]
    for count, start in enumerate(after, start=1):
        if _share(done, start, start + every) <= usual / 2:
            return count
    return None


def _share(done: Run, first: int, last: int) -> float:
    part = done.chosen[max(0, first) : last]
    return part.count(done.stream.change.model) / len(part) if part else 0.0


def adopted(done: Run, ceiling_usd: float) -> int | None:
    """Requests until a model that appeared, or became cheap, is used as it should be; None: never."""
    change = done.stream.change
    enough = SHARE * mixture(_after(done.stream), ceiling_usd).get(change.model, 0.0)
    for end in range(change.at + WINDOW, len(done.chosen) + 1):
        if _share(done, end - WINDOW, end) >= enough:
            return end - change.at
    return None
