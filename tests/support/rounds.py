"""What tests of rounds share: a policy of their own, and work that is done as workers would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.benchmark import benchmark, judge
from app.broker import JUDGE
from app.providers.base import ChatRequest
from app.store import database
from app.store.models import Probe, Round
from tests.support.system import Behaviour, System, answer


def with_policy(system: System, **tables: dict[str, Any]) -> System:
    """The system under another policy: with_policy(system, budget={"day_usd": 1.0})."""
    policy = system.services.policy
    changed = {table: replace(getattr(policy, table), **values) for table, values in tables.items()}
    return replace(system, services=replace(system.services, policy=replace(policy, **changed)))


def work_off(system: System) -> None:
    """Deliver messages, as a worker would, until there are none."""
    while system.celery.sent:
        for key in system.celery.take_probes():
            benchmark.run_probe(system.services, key)
        for round_id in system.celery.take_optimize():
            benchmark.optimize(system.services, round_id)
        for arguments in system.celery.take(JUDGE):
            judge.judge_round(system.services, arguments[0])


def run_round(system: System) -> str:
    round_id = benchmark.start_round(system.services)
    work_off(system)
    system.services.config.refresh(system.services.redis)
    return round_id


def the_round(system: System, round_id: str) -> Round:
    with database.transaction(system.services.sessions) as session:
        return session.get_one(Round, round_id)


def every_round(system: System) -> list[Round]:
    with database.transaction(system.services.sessions) as session:
        return list(session.query(Round).order_by(Round.planned_at))


def probes(system: System, round_id: str) -> list[Probe]:
    with database.transaction(system.services.sessions) as session:
        return list(session.query(Probe).filter_by(round_id=round_id))


def said(system: System, round_id: str, kind: str) -> list[str]:
    return [str(insight["text"]) for insight in the_round(system, round_id).insights if insight["kind"] == kind]


def takes(latency_ms: float) -> Behaviour:
    return lambda model, request: answer(latency_ms=latency_ms)


def costs(usd: float | None) -> Behaviour:
    return lambda model, request: answer(cost_usd=usd)


def asked(request: ChatRequest) -> str:
    return str(request.messages[0].content)
