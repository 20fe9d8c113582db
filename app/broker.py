"""Celery as this project uses it: every setting with its reason, and the messages that are sent.

A message is a hint with ids in it. Losing or doubling one is harmless: Postgres knows what is to be done.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Celery
from celery.exceptions import QueueNotFound
from kombu.entity import Queue
from kombu.exceptions import OperationalError

from app import environment
from app.domain.rounds.rounds import ProbeKey
from app.server_urls import RedisAddress, redis_address

log = structlog.get_logger()

CONTROL = "control"
#: of every key that Celery has in Redis; a queue is a list there
PREFIX = "tooloo:celery:"
OPTIMIZER = "optimizer"
PROBE = "tooloo.probe"
OPTIMIZE = "tooloo.optimize"
JUDGE = "tooloo.judge"
ROLL_UP = "tooloo.roll_up"
#: s between two messages of beat that outcomes be taken in
INGEST_EVERY_S = 1
#: argument of one that a run asks for, which left some
ASKED = "asked"


def probe_queue(provider: str) -> str:
    return f"probe.{provider}"


def queues(providers: Iterable[str]) -> list[str]:
    return [probe_queue(provider) for provider in providers]


def _tls(found: RedisAddress) -> dict[str, Any] | None:
    """For Celery and Flower; None: not by TLS. Both take any certificate where nothing is said."""
    if found.scheme != "rediss":
        return None
    said = dict(found.tls)
    return {**said, "ssl_cert_reqs": ssl.VerifyMode[f"CERT_{said['ssl_cert_reqs'].upper()}"]}


def make_celery(redis_url: str, providers: Sequence[str], *, socket_timeout_s: float = 5) -> Celery:
    """`socket_timeout_s` bounds a publish to a frozen Redis: workers can wait, an API request cannot."""
    environment.disregard(os.environ)  # Celery would put it before what it is told
    redis = redis_address(redis_url)
    app = Celery("tooloo", broker=redis.broker(), set_as_current=False)
    app.conf.update(
        broker_use_ssl=_tls(redis),
        # what a message may be
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        task_ignore_result=True,
        result_backend=None,
        # one queue per provider, so that a slow one blocks nobody else; an unknown queue is a typing error
        task_queues=[_queue(name) for name in (CONTROL, OPTIMIZER, *queues(providers))],
        task_default_queue=CONTROL,
        task_create_missing_queues=False,
        # a message is acknowledged after the work, and fetched only by who has a hand free
        task_acks_late=True,
        task_acks_on_failure=True,
        worker_prefetch_multiplier=1,
        task_reject_on_worker_lost=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        # Redis comes back: so do we, however long it took
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_acquire_timeout=5,
        broker_transport_options=_redis_transport(socket_timeout_s),
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
        # prefork children (control, optimizer) wait for PostgreSQL for as long as it takes, and are not killed for it
        worker_proc_alive_timeout=86_400,  # s
        # … and are replaced before they grow
        worker_max_tasks_per_child=2000,
        worker_max_memory_per_child=400_000,  # KiB
        # Flower
        worker_send_task_events=True,
        task_send_sent_event=False,
        beat_enable_remote_control=True,
        worker_hijack_root_logger=False,
        timezone="UTC",
        enable_utc=True,
    )
    return app


def _redis_transport(socket_timeout_s: float) -> dict[str, Any]:
    return {
        # s after which a message that nobody acknowledged is given to another worker
        "visibility_timeout": 600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # s; no wait for a frozen Redis is for ever
        "socket_timeout": socket_timeout_s,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "global_keyprefix": PREFIX,
    }


def _queue(name: str) -> Queue:
    return Queue(name)  # type: ignore[no-untyped-call]  # kombu


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages that are sent. A failure to send is logged, not raised: the reaper sends what is missing."""

    celery: Celery
    #: gives the headers with which a message carries its trace, by task and queue
    sending: Callable[[str, str], AbstractContextManager[dict[str, str]]] | None = None

    def probes(self, keys: Iterable[ProbeKey]) -> bool:
        """False once Redis did not take one; the rest is then not tried, so that a caller waits at most once."""
        return all(
            self._send(PROBE, [key.round_id, key.provider, key.model, key.prompt_id], probe_queue(key.provider))
            for key in keys
        )

    def judge(self, round_id: str, provider: str) -> bool:
        """To a worker that may call this provider."""
        return self._send(JUDGE, [round_id], probe_queue(provider))

    def optimize(self, round_id: str) -> bool:
        return self._send(OPTIMIZE, [round_id], OPTIMIZER)

    def roll_up(self) -> bool:
        """To go on with what a run left."""
        return self._send(ROLL_UP, [ASKED], CONTROL)

    def _send(self, task: str, args: list[str], queue: str) -> bool:
        try:
            with nullcontext() if self.sending is None else self.sending(task, queue) as headers:
                self.celery.send_task(task, args=args, queue=queue, retry=False, ignore_result=True, headers=headers)
        except (OperationalError, QueueNotFound) as error:
            log.warning("message not sent, the reaper will", task=task, queue=queue, reason=str(error))
            return False
        return True
