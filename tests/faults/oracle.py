"""What must hold after any fault, judged from outside: rows of the database, the lab's calls, answers, counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

#: of a probe that needs nobody any more
FINAL = frozenset({"ok", "error", "timeout"})
#: s after its deadline by which a round must be over
AFTER_DEADLINE_S = 120.0
#: lines of warnings and errors that an outage may cost, per process and minute
LINES = 12


@dataclass(frozen=True)
class RoundSeen:
    id: str
    status: str
    planned: int
    #: status of each probe, by provider, model, prompt
    probes: Mapping[tuple[str, str, str], str]
    #: s from its deadline to its end; negative: before it
    after_deadline_s: float | None
    #: versions of the config that it led to
    revisions: Sequence[int] = ()


@dataclass(frozen=True)
class Seen:
    """`rounds` of the fault's time; chats and lines likewise."""

    rounds: Sequence[RoundSeen]
    #: version that the API serves
    served_version: int
    #: calls of probes that the providers got
    calls: int
    answered: int
    #: what those that were not answered got instead
    failed: Sequence[str] = ()
    #: answered chats of which no outcome is stored, and how many outcomes the counters say were lost
    unstored: int = 0
    counted_lost: int = 0
    tracebacks: int = 0
    #: warnings and errors in the log, by process
    lines: Mapping[str, int] = field(default_factory=dict)
    minutes: float = 1.0


@dataclass(frozen=True)
class Allowed:
    """What a fault may cost, beyond nothing."""

    #: calls that are made twice, as their worker was lost
    calls_twice: int = 0
    failed: int = 0
    #: outcomes that are lost, and counted
    lost: int = 0
    #: … that die with a process that is killed: what it had gathered since it last told Redis, and nobody can count
    died: int = 0
    statuses: frozenset[str] = frozenset({"done"})
    lines: int = LINES


def problems(seen: Seen, allowed: Allowed) -> list[str]:
    """What does not hold; nothing: all does."""
    return [
        *(wrong for each in seen.rounds for wrong in _of_round(each, seen.served_version, allowed)),
        *_of_calls(seen, allowed),
        *_of_chats(seen, allowed),
        *_of_log(seen, allowed),
    ]


def _of_round(each: RoundSeen, served: int, allowed: Allowed) -> Iterator[str]:
    if len(each.probes) != each.planned:
        yield f"(a) {each.id}: {len(each.probes)} probes for {each.planned} planned"
    open_ones = Counter(status for status in each.probes.values() if status not in FINAL)
    if open_ones:
        yield f"(a) {each.id}: probes that are not final: {dict(open_ones)}"
    if each.status not in allowed.statuses:
        yield f"(b) {each.id}: ended as {each.status}"
    if each.after_deadline_s is None or each.after_deadline_s > AFTER_DEADLINE_S:
        yield f"(b) {each.id}: ended {each.after_deadline_s} s after its deadline"
    if len(each.revisions) > 1:
        yield f"(c) {each.id}: {len(each.revisions)} revisions"
    if any(version > served for version in each.revisions):
        yield f"(c) {each.id}: version {max(each.revisions)} is not served, but {served}"


def _of_calls(seen: Seen, allowed: Allowed) -> Iterator[str]:
    planned = sum(each.planned for each in seen.rounds)
    if seen.calls > planned + allowed.calls_twice:
        yield f"(d) {seen.calls} calls for {planned} planned and {allowed.calls_twice} that may be made twice"


def _of_chats(seen: Seen, allowed: Allowed) -> Iterator[str]:
    if not seen.answered:
        yield "(f) no chat was answered"
    if len(seen.failed) > allowed.failed:
        yield f"(f) {len(seen.failed)} chats failed: {dict(Counter(seen.failed))}"
    if seen.unstored > seen.counted_lost + allowed.died:
        yield f"(g) {seen.unstored} outcomes are lost, {seen.counted_lost} of them counted"
    if seen.unstored > allowed.lost + allowed.died:
        yield f"(g) {seen.unstored} outcomes are lost"


def _of_log(seen: Seen, allowed: Allowed) -> Iterator[str]:
    if seen.tracebacks:
        yield f"(e) {seen.tracebacks} tracebacks in the log"
    most = allowed.lines * max(1.0, seen.minutes)
    for process, count in sorted(seen.lines.items()):
        if count > most:
            yield f"(e) {count} lines of trouble from {process} in {seen.minutes:.1f} min"
