"""The tasks: ids in, one step of a main path, done. Names are part of the wire between releases: never rename one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import ParamSpec

import redis
import structlog
from celery import Celery, current_task

from app import bootstrap, tracing
from app.benchmark import benchmark, between_rounds, judge, reaper
from app.broker import INGEST_EVERY_S, JUDGE, OPTIMIZE, PROBE, ROLL_UP
from app.domain.rounds.rounds import ProbeKey
from app.errors import TooLooError
from app.evidence import ingest as live_outcomes
from app.evidence import request_log
from app.operations import retention, rolling
from app.services import Services
from app.settings import Settings

log = structlog.get_logger()
P = ParamSpec("P")

#: the worker is about to end, and waits for its tasks: none of them begins something new
ending = threading.Event()

_received: list[Services] = []


def start(configured: Settings, *, threads: int) -> None:
    """Called once per process, before its first task: connect, wait for what is needed, follow the config.

    It waits for as long as it takes: a worker that went on without its services would fail every task it takes.
    """
    services = bootstrap.build(configured, threads=threads, tracing=tracing.begin(configured, "worker"))
    bootstrap.wait_for(services, patience_s=None)
    bootstrap.follow(services)
    _received[:] = [services]


def wait(configured: Settings) -> None:
    """In the parent of a pool, before it takes messages: until its children can work."""
    services = bootstrap.build(configured, threads=1)
    bootstrap.wait_for(services, patience_s=None)
    services.engine.dispose()  # no connection may be shared with a child
    services.redis.close()


def stop() -> None:
    """At the end of a process that has begun: its last spans."""
    for services in _received:
        if services.tracing is not None:
            services.tracing.stop()


def _services() -> Services:
    return _received[0]


def _span() -> AbstractContextManager[None]:
    """Of the task that this thread runs."""
    if (spans := _services().tracing) is None:
        return nullcontext()
    return spans.run(current_task.name, vars(current_task.request))


def _said_plainly(step: Callable[P, None]) -> Callable[P, None]:
    """A failed dependency is one line in the log: what the message asked for, the reaper will ask for again."""

    @wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with _span():
                step(*args, **kwargs)
        except (TooLooError, redis.RedisError) as error:
            log.warning("step not done, the reaper will repeat it", step=step.__name__, reason=str(error))

    return run


def _due(step: str, every_s: float) -> bool:
    """Is it time for what beat asks for again and again? By the clock of Redis, the one that all hosts share.

    A worker that was away finds hundreds of messages; all but one are passed over. Without Redis there is no message.
    """
    return bool(_services().redis.set(f"tooloo:beat:{step}", 1, nx=True, px=max(1, round(every_s * 500))))


@_said_plainly
def probe(round_id: str, provider: str, model: str, prompt_id: str) -> None:
    """A hint at this probe, or at another of its provider: it runs some of them, one after the other."""
    benchmark.run_probe(_services(), ProbeKey(round_id, provider, model, prompt_id), ending.is_set)


@_said_plainly
def optimize(round_id: str) -> None:
    benchmark.optimize(_services(), round_id)


@_said_plainly
def judge_round(round_id: str) -> None:
    judge.judge_round(_services(), round_id)


@_said_plainly
def retain() -> None:
    if not _due("retain", _services().policy.retention.every_s):
        return
    retention.retain(_services())
    request_log.purge(_services())
    rolling.again(_services())


@_said_plainly
def roll_up(asked: str = "") -> None:
    """`asked`: by a run that left some."""
    if not asked and not _due("roll_up", _services().policy.retention.roll_up_every_s):
        return
    rolling.roll_up(_services(), ending.is_set, asked=bool(asked))


@_said_plainly
def start_slot() -> None:
    benchmark.start_slot(_services())


@_said_plainly
def ingest() -> None:
    if not _due("ingest", INGEST_EVERY_S):
        return
    live_outcomes.ingest(_services())
    between_rounds.check(_services())
    reaper.send_lost(_services())


@_said_plainly
def reap() -> None:
    if _due("reap", _services().policy.rounds.reap_every_s):
        reaper.reap(_services())


def register(app: Celery) -> None:
    app.task(probe, name=PROBE)
    app.task(optimize, name=OPTIMIZE, time_limit=60, soft_time_limit=50)
    app.task(judge_round, name=JUDGE)
    app.task(retain, name="tooloo.retain", time_limit=300, soft_time_limit=240)
    app.task(roll_up, name=ROLL_UP, time_limit=300, soft_time_limit=240)
    app.task(start_slot, name="tooloo.start_slot")
    app.task(ingest, name="tooloo.ingest")
    app.task(reap, name="tooloo.reap", time_limit=300, soft_time_limit=240)
