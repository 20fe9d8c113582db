"""What granian loads in each API process."""

from __future__ import annotations

from multiprocessing.util import Finalize

from flask import Flask

from app import bootstrap, logs, settings
from app.api import create_app, stopping

#: an API request must not wait longer for a frozen Redis
PUBLISH_TIMEOUT_S = 2.0


def create() -> Flask:
    configured = settings.load()
    logs.configure(configured.log_format, configured.log_level)
    configured.check_exposure()
    services = bootstrap.build(configured, threads=settings.API_THREADS, publish_timeout_s=PUBLISH_TIMEOUT_S)
    bootstrap.wait_for(services)
    running = bootstrap.start(services)
    stopping.watch()
    # atexit is not called in a child of multiprocessing, which is what granian's workers are
    Finalize(None, running.stop, exitpriority=10)
    return create_app(running)
