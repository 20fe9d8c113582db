"""The API over a real socket, with the lab behind it: what a client of OpenAI's sees."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from app import bootstrap
from app.api import create_app
from app.bootstrap import Running
from app.domain.config.runtime_config import merge
from app.live.live_config import dump
from app.providers.client import Client, Pool
from tests.support.lab import RunningLab, running_lab
from tests.support.system import build

PROVIDERS = ("deepseek", "gemini", "anthropic", "openai")


class _Handler(WSGIRequestHandler):
    """HTTP/1.1, so that streams are chunked as granian chunks them."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Served:
    url: str
    running: Running
    lab: RunningLab

    def configure(self, **settings: Any) -> None:
        """Change the runtime config of this process alone."""
        live = self.running.gateway.services.config
        changed = merge(live.value, settings)
        version = max(live.version, live.value.revision) + 1
        changed = changed.model_copy(update={"version": str(version)})
        assert live.offer(version, dump(changed))

    def reset(self) -> None:
        """Every breaker closed."""
        breakers = self.running.gateway.breakers
        breakers.value = {}
        breakers.generation += 1


@contextmanager
def served(folder: Path, database_url: str | None = None, redis_url: str | None = None) -> Iterator[Served]:
    """Without Postgres and Redis it answers all the same, and needs no set-up."""
    database_url = database_url or f"postgresql+psycopg2://postgres@/nothing?host={folder}"
    redis_url = redis_url or f"unix://{folder}/nothing.sock"
    with running_lab() as lab:
        system = build(database_url, redis_url, folder, {"TOOLOO_LAB_URL": lab.url})
        services = replace(system.services, client=Client(Pool(256)))
        running = bootstrap.start(services, seed=1)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = make_server("127.0.0.1", 0, create_app(running), threaded=True, request_handler=_Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="api", daemon=True)
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{server.port}", running, lab)
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)
            running.stop()
            system.close()
