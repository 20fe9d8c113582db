"""The API of a test's system on a port of its own, in threads, for tests that want real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import make_server

from app import bootstrap
from app.api import create_app
from tests.support.system import System


@contextmanager
def served(system: System, port: int = 0) -> Iterator[str]:
    """Base URL."""
    running = bootstrap.start(system.services, seed=1)
    server = make_server("127.0.0.1", port, create_app(running), threaded=True)
    server.daemon_threads = True  # type: ignore[attr-defined]  # of socketserver: an open stream does not hold up the end
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        running.stop()
