"""What granian loads in each API process."""

from __future__ import annotations

import gc
from multiprocessing.util import Finalize

import structlog

from app import bootstrap, logs, memory, settings, tracing
from app.api import create_app
from app.api.bodies import Bodies, BodyLimits
from app.api.front import Front
from app.errors import TooLooError
from app.operations import listening, started
from app.services import Services
from app.settings import Settings

log = structlog.get_logger()

#: an API request must not wait longer for a frozen Redis
PUBLISH_TIMEOUT_S = 2.0
#: objects in the garbage collector's youngest generation (700 where nobody says)
YOUNGEST = 10_000


def create() -> Front:
    """Serves at once: where Redis or PostgreSQL is away it says so in /readyz, and joins when they return."""
    memory.keep_to_ourselves()
    configured = settings.load()
    logs.configure(configured.log_format, configured.log_level)
    try:
        return _made(configured)
    except TooLooError as error:
        log.critical("the API process cannot start", reason=str(error))
        raise SystemExit(1) from None  # a line, where the server would print a traceback


def _made(configured: Settings) -> Front:
    configured.check_exposure()
    services = bootstrap.build(
        configured,
        threads=settings.API_THREADS,
        publish_timeout_s=PUBLISH_TIMEOUT_S,
        tracing=tracing.begin(configured, "api"),
    )
    running = bootstrap.start(services)
    # atexit is not called in a child of multiprocessing, which is what granian's workers are
    Finalize(None, running.stop, exitpriority=10)
    front = Front(create_app(running), settings.API_THREADS, Bodies(_body_limits(services)))
    _spare_the_collector()
    listening.begin()
    started.say()
    return front


def _body_limits(services: Services) -> BodyLimits:
    limits = services.policy.gateway
    largest = services.settings.max_body
    return BodyLimits(
        largest=largest,
        held=max(limits.bodies_mb * 1024 * 1024, largest),
        wait_s=limits.body_wait_s,
        bytes_per_s=limits.body_bytes_per_s,
    )


def _spare_the_collector() -> None:
    """What is loaded by now stays; to look through it again and again stops all threads for tens of milliseconds.

    Requests leave next to no cycles behind, so the youngest generation may grow before it is looked at.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST)
