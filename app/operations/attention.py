"""What needs a person, each with what to do about it: from what this process has in memory, so it waits for nobody.

An item is known by kind and subject; it is there while its cause is. app.operations.alerts tells of its two ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from app.domain.catalog import Provider, Target
from app.domain.evidence.evidence import Evidence
from app.domain.policy import Policy
from app.domain.rounds.budget import money
from app.domain.routing.breaker import Breaker
from app.errors import AccountProblem, BadKey, ModelUnknown, OutOfCredit
from app.operations import processes, undelivered
from app.operations.health import BENCHMARK, State
from app.operations.processes import Absent
from app.operations.vitals import LATELY, Seen, Vitals
from app.services import Services
from app.store.models import RoundStatus

#: the one that no webhook is told of
UNDELIVERED = "alerts_undelivered"


class Severity(StrEnum):
    CRITICAL = "critical"  # traffic, or what it rests on, suffers now
    WARNING = "warning"  # something is lost, later or in part


@dataclass(frozen=True, slots=True)
class Item:
    #: a word of ours that stays, such as key_refused
    kind: str
    severity: Severity
    #: what it is about: a provider, a target, a server, a process, a round
    subject: str
    #: None: not known
    since: datetime | None
    text: str
    #: what to do
    cure: str

    def to_json(self) -> dict[str, Any]:
        since = None if self.since is None else int(self.since.timestamp() * 1000)
        return {
            "kind": self.kind,
            "severity": self.severity.value,
            "subject": self.subject,
            "since": since,
            "text": self.text,
            "cure": self.cure,
        }


@dataclass(frozen=True, slots=True)
class Known:
    """What this process holds in memory. `troubles`: of the Watch."""

    troubles: Mapping[str, State]
    vitals: Vitals
    breakers: Mapping[Target, Breaker]
    #: by id of a key: what it has spent of a budget that is used up
    budgets: Mapping[str, str] = field(default_factory=dict)


def items(services: Services, known: Known, now: datetime) -> list[Item]:
    """The critical ones first, of each severity the oldest first; each kind and subject once."""
    found = [
        *_servers(known.troubles),
        *_processes(services),
        *accounts(services),
        *_nobody(services),
        *_breakers(services, known.breakers, now),
        *_ingest(known),
        *_benchmark(services.policy, known, now),
        *_rounds(services.policy, known.vitals.seen),
        *_machine(services, known),
        *_alerts(services, known.vitals.seen),
        *_budgets(services, known.budgets),
    ]
    return sorted(found, key=lambda item: (item.severity is not Severity.CRITICAL, item.since or now, item.kind))


#: by server: what to do
_START = {
    "postgres": "start PostgreSQL, or correct DATABASE_URL; `tooloo doctor` says what it answers",
    "redis": "start Redis, or correct REDIS_URL; `tooloo doctor` says what it answers",
}
#: of a server that answers and takes no write
_FULL = {
    "postgres": "make room on its disk, or end what keeps it read-only",
    "redis": "make room: raise its maxmemory, or free the disk it writes to",
}


def _servers(troubles: Mapping[str, State]) -> Iterator[Item]:
    for name, start in _START.items():
        if (state := troubles.get(name)) is None:
            continue
        answers = "cannot be written" in state.said or "cannot do it now" in state.said
        text = f"{state.said}. Chat goes on with what is in memory" if name == "postgres" else state.said
        cure = _FULL[name] if answers else start
        yield Item("dependency_away", Severity.CRITICAL, name, state.since, text, cure)


def _processes(services: Services) -> Iterator[Item]:
    for name, absent in processes.read(services.settings.processes_file).absent:
        since = datetime.fromtimestamp(absent.since_s, UTC)
        yield Item("process_missing", Severity.CRITICAL, name, since, _ended(name, absent), _LOOK)


_LOOK = "read its last lines in the output of `tooloo up`: it is started again by itself, and has not stayed up"


def _ended(name: str, absent: Absent) -> str:
    times = "once" if absent.ends == 1 else f"{absent.ends} times"
    return f"the process {name} is missing: it ended {times}, last by {absent.how}"


def _budgets(services: Services, spent: Mapping[str, str]) -> Iterator[Item]:
    for key_id, said in spent.items():
        key = services.keys.value.by_id.get(key_id)
        subject = key_id if key is None else f"{key.name} ({key_id})"
        hard = key is None or key.limits.priced
        then = "it is refused until then" if hard else "it goes on: the budget warns alone"
        text = f"the key {subject} has spent {said}; {then}"
        cure = f"wait, or raise it: tooloo keys set {key_id} --day-usd USD (--month-usd USD)"
        yield Item("budget_spent", Severity.WARNING, subject, None, text, cure)


#: by error class: kind, what is wrong, and what to do; {provider}, {key}, {models}
_ACCOUNTS: Mapping[str, tuple[str, str, str]] = {
    BadKey.code: (
        "key_refused",
        "{provider} refuses the key in {key}: it serves nothing",
        "put a valid key into {key} (environment or .env) and start TooLoo again",
    ),
    OutOfCredit.code: (
        "out_of_credit",
        "{provider} says that the account of {key} has no credit left: it serves nothing",
        "top up the account; then `tooloo benchmark --provider {provider}`, or the next round, finds it mended",
    ),
    AccountProblem.code: (
        "account_problem",
        "{provider} says that the account of {key} may not do this ({models})",
        "see `tooloo doctor --provider {provider} --call` for what it asks: verification, access or terms",
    ),
    ModelUnknown.code: (
        "model_unknown",
        "{provider} does not have {models}",
        "name a model that it has in [{provider}] models of config/providers.toml, and start TooLoo again",
    ),
}
_SIMULATED = "it is simulated: `tooloo lab reset {provider}` ends it"


def accounts(services: Services) -> Iterator[Item]:
    """By provider and error: one key stands for all models of its provider."""
    evidence = services.scorecard.value.evidence
    left_out = services.left_out(services.config.value)
    for provider in services.providers:
        if provider.name in left_out:
            continue
        broken: dict[str, list[tuple[Target, Evidence]]] = {}
        for target in provider.targets:
            known = evidence.get(target)
            if known is not None and known.needs_person is not None:
                broken.setdefault(known.needs_person, []).append((target, known))
        for error, mine in broken.items():
            yield _account(provider, error, mine)


def _account(provider: Provider, error: str, mine: Sequence[tuple[Target, Evidence]]) -> Item:
    kind, text, cure = _ACCOUNTS[error]
    words = {
        "provider": provider.name,
        "key": provider.key_env or f"its block in config/providers.toml ([{provider.name}])",
        "models": ", ".join(target.model for target, _ in mine),
    }
    since = min((known.needs_person_since for _, known in mine if known.needs_person_since), default=None)
    told = (_SIMULATED if provider.simulated else cure).format(**words)
    return Item(kind, Severity.CRITICAL, provider.name, since, text.format(**words), told)


def _nobody(services: Services) -> Iterator[Item]:
    left_out = services.left_out(services.config.value)
    if all(target.provider in left_out for target in services.targets):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        cure = "set a provider's key and start TooLoo again, or enable a provider: `tooloo config set`"
        yield Item("no_target", Severity.CRITICAL, "gateway", None, f"no provider can be called ({reasons})", cure)


def _breakers(services: Services, breakers: Mapping[Target, Breaker], now: datetime) -> Iterator[Item]:
    """Of outages that outlast the longest pause between trials; what only a person can mend is said elsewhere."""
    least = timedelta(seconds=services.policy.breaker.open_max_s)
    for target in services.targets:
        breaker = breakers.get(target)
        since = None if breaker is None else _out_since(breaker, services.scorecard.value.evidence.get(target))
        if breaker is None or since is None or now - since < least:
            continue
        text = f"{target} has failed {breaker.failures} times in a row ({breaker.reason}): its breaker is open"
        cure = f"see the provider's status page and `tooloo doctor --provider {target.provider}`"
        yield Item("breaker_open", Severity.WARNING, str(target), since, text, cure)


def _out_since(breaker: Breaker, known: Evidence | None) -> datetime | None:
    """When the outage began; None: there is none, or it is over, as a round has found."""
    if breaker.open_until is None or breaker.opened_at is None or breaker.reason in _ACCOUNTS:
        return None
    served = None if known is None else known.last_success_at
    return None if served is not None and served > breaker.opened_at else breaker.since or breaker.opened_at


def _ingest(known: Known) -> Iterator[Item]:
    state = known.troubles.get("ingest")
    if state is not None and state.said.startswith("stands still"):
        cure = "see that a worker takes the queue `control` (`tooloo worker`) and that beat runs (`tooloo beat`)"
        yield Item("ingest_lag", Severity.CRITICAL, "ingest", state.since, f"learning {state.said}", cure)


def _benchmark(policy: Policy, known: Known, now: datetime) -> Iterator[Item]:
    state, age_s = known.troubles.get(BENCHMARK), known.vitals.benchmark_age_s
    if state is None or age_s is None or not state.said.startswith("silent"):
        return
    text = f"no round has measured anything for {age_s / policy.rounds.interval_s:.1f} intervals of "
    text += f"{policy.rounds.interval_s} s: what is known grows old"
    cure = "see that beat and workers run, and the latest rounds (`tooloo results`); `tooloo benchmark` starts one"
    yield Item("benchmark_silent", Severity.CRITICAL, "benchmark", now - timedelta(seconds=age_s), text, cure)


#: of a round by how it ended: what that means, and what to do
_ENDS: Mapping[RoundStatus, tuple[str, str]] = {
    RoundStatus.FAILED: ("could not be digested: the config stays as it is", "see the worker's log, and report it"),
    RoundStatus.PARTIAL: (
        "was closed with probes that never ran: it moves nothing",
        "see that workers run and are fast enough: `tooloo results`, Flower; more with TOOLOO_WORKER_PROCESSES",
    ),
}


def _rounds(policy: Policy, seen: Seen | None) -> Iterator[Item]:
    if seen is None:
        return
    yield from _workers(policy, seen)
    yield from _budget(policy, seen)
    last = seen.last
    if last is not None and last.status in _ENDS:
        text, cure = _ENDS[last.status]
        yield Item("round_" + last.status.value, Severity.WARNING, "benchmark", last.at, f"{last.id} {text}", cure)
    elif last is not None and last.degraded:
        text = f"{last.id} measured with too large an error of its own: it moves no weights"
        cure = "give the workers a quieter machine, or fewer at once: `concurrency` in config/providers.toml"
        yield Item("round_degraded", Severity.WARNING, "benchmark", last.at, text, cure)


def _workers(policy: Policy, seen: Seen) -> Iterator[Item]:
    """The reaper has sent the messages anew by then: who waits still has nobody to take them."""
    patience = timedelta(seconds=2 * policy.rounds.reap_every_s)
    if seen.idle_since is not None and seen.at - seen.idle_since > patience:
        cure = "start workers: `tooloo worker`; see Flower for who is there"
        text = "a round waits, and no worker has taken a probe of it"
        yield Item("no_worker", Severity.CRITICAL, "probe", seen.idle_since, text, cure)


def _budget(policy: Policy, seen: Seen) -> Iterator[Item]:
    limit, last = policy.budget.day_usd, seen.last
    skipped = last is not None and last.status is RoundStatus.SKIPPED
    if skipped or seen.spent_usd >= limit:
        text = f"rounds have spent {money(seen.spent_usd)} of the {money(limit)} per day"
        text += ": the latest was skipped" if skipped else ""
        cure = "raise budget.day_usd (and budget.round_usd) in config/policy.toml, or measure less often"
        since = last.at if last is not None and skipped else None
        yield Item("budget_spent", Severity.WARNING, "benchmark", since, text, cure)


def _machine(services: Services, known: Known) -> Iterator[Item]:
    seen, free = known.vitals.seen, known.vitals.disk_free_mb
    if seen is not None and seen.local_failures >= services.policy.health.local_failures:
        minutes = LATELY.total_seconds() / 60
        text = f"{seen.local_failures} calls of the last {minutes:.0f} minutes failed by our own network or machine"
        cure = "check this machine's network, DNS, proxy and open files; no provider is blamed for them"
        yield Item("own_network", Severity.CRITICAL, "network", seen.local_since, text, cure)
    if free is not None and free < services.policy.health.disk_free_mb:
        folder = services.settings.snapshot_file.parent
        cure = f"make room on the disk of {folder}: the copy of the config is written there"
        yield Item("disk", Severity.WARNING, str(folder), None, f"{free:.0f} MB are left on the disk", cure)
    if (state := known.troubles.get("config")) is not None:
        cure = "bring PostgreSQL or Redis back: what they hold is taken over at once"
        text = f"the runtime config is not the shared one: {state.said}"
        yield Item("config_degraded", Severity.WARNING, "config", state.since, text, cure)
    for name, (kind, cure) in _SAID.items():
        if (state := known.troubles.get(name)) is not None and not state.said.startswith("unknown"):
            yield Item(kind, Severity.WARNING, name, state.since, f"{name}: {state.said}", cure)


#: by look: kind, and what to do
_SAID = {
    "clock": ("clock_off", "synchronise the clocks of this host and of PostgreSQL's: `timedatectl set-ntp true`"),
    "files": ("config_not_taken", "correct the file: it is taken over by itself then"),
}


def _alerts(services: Services, seen: Seen | None) -> Iterator[Item]:
    """Of a webhook that there is: who takes it away wants no alerts."""
    failing = None if seen is None else seen.undelivered
    if failing is None or services.settings.alert_url is None:
        return
    alerts = "an alert was" if failing.count == 1 else f"{failing.count} alerts were"
    text = f"{alerts} not taken by the server of {undelivered.URL}: {failing.problem}"
    yield Item(UNDELIVERED, Severity.WARNING, "webhook", failing.since, text, undelivered.cure(failing.problem))
