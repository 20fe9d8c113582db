"""The Celery app of the workers and of beat: `celery -A workers.celery_app …`, or `tooloo worker|beat|flower`."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import celery.apps.worker
import structlog
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)

from app import config_files, logs, memory, settings
from app.broker import make_celery
from workers import alive, schedule, transport

log = structlog.get_logger()

# Celery's reason for it is pickle; we take JSON only, and `make up` as root is a person's own choice
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")

_settings = settings.load()
_providers = config_files.load_providers(_settings.config_dir)
_policy = config_files.load_policy(_settings.config_dir)

transport.use()
app = make_celery(_settings.require_redis_url(), [provider.name for provider in _providers])
app.conf.beat_schedule = schedule.beat_schedule(_policy.rounds, _policy.retention)
app.conf.beat_schedule_filename = str(_settings.data_dir / "beat-schedule")
if _settings.alive_file is not None:
    alive.keep(_settings.alive_file)


def _say(text: str, *_: Any) -> None:
    """What Celery says from within a signal's handler, where no lock of the log may be waited for."""
    line = {"event": text, "level": "info", "timestamp": datetime.now(UTC).isoformat()}
    os.write(1, f"{json.dumps(line) if _settings.log_format == 'json' else text}\n".encode())


celery.apps.worker.safe_say = _say


@setup_logging.connect
def _log(**_: Any) -> None:
    logs.configure(_settings.log_format, _settings.log_level)


@worker_init.connect
def _in_the_worker(sender: Any = None, **_: Any) -> None:
    """Threads pool: this process does the work. Prefork: only its children do, and nobody looks into those either."""
    memory.keep_to_ourselves()
    _log()  # Celery's own turn for it comes after this signal
    from workers import tasks  # beat and Flower share this module, and start three times as fast without it

    tasks.register(app)
    if sender.pool_cls.__module__ == "celery.concurrency.prefork":
        _or_end(lambda: tasks.wait(_settings))
    else:
        _or_end(lambda: tasks.start(_settings, threads=max(sender.concurrency or 1, 1)))


@worker_process_init.connect
def _in_the_child(**_: Any) -> None:
    """A prefork child builds its own connections: two processes on one Postgres socket corrupt each other's answers."""
    from workers import tasks

    with alive.held_back(_settings.alive_file):
        _or_end(lambda: tasks.start(_settings, threads=1))


def _or_end(step: Callable[[], None]) -> None:
    """Celery's signals swallow what a receiver raises, and the worker would be "ready" with nothing to work with."""
    try:
        step()
    except Exception as error:  # whatever it is, this process cannot work
        log.critical("the worker cannot start", reason=str(error) or repr(error))
        raise SystemExit(1) from error  # no Exception: it passes the signal


@worker_shutting_down.connect
def _at_the_end(**_: Any) -> None:
    from workers import tasks

    tasks.ending.set()


@worker_shutdown.connect
@worker_process_shutdown.connect
def _when_all_is_done(**_: Any) -> None:
    from workers import tasks

    tasks.stop()
