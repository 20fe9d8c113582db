"""The one provider behind all gateways: nginx for plain answers at once, a Python server for delays and streams.

Both on the same port, one after the other, for a gateway knows one place.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.bench.gateway import upstream
from tests.bench.gateway.processes import NotStarted, Server, run
from tests.support.ports import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
LABEL = (
    "plain answers by nginx"
    if NGINX
    else "plain answers by Python: nginx is not installed (Debian, Ubuntu: apt install nginx-light)"
)
CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  keepalive_timeout 600;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 '{body}'; }}
  }}
}}
"""


class Upstream:
    """What runs on its port, and with it what a gateway measured now has behind it."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.port = free_port()
        self._folder, self._log = folder, log
        self._running = ExitStack()
        self._what: tuple[str, float, float] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def at_once(self) -> None:
        """Plain answers without delay; no streams where nginx gives them."""
        if NGINX is None:
            self.paced()
            return
        config = self._folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=self._folder, port=self.port, body=upstream.BODY.decode()))
        self._become(("nginx", 0, 0), [NGINX, "-c", str(config), "-p", str(self._folder)])

    def paced(self, *, delay_ms: float = 0, gap_ms: float = upstream.GAP_MS) -> None:
        """Plain answers after `delay_ms`, and streams."""
        command = [sys.executable, "-m", "tests.bench.gateway.upstream", str(self.port), str(delay_ms), str(gap_ms)]
        self._become(("python", delay_ms, gap_ms), command)

    def direct(self) -> Server:
        """Asked without a gateway."""
        return Server("direct", self.port, "/chat/completions", "bench", self._process)

    def _become(self, what: tuple[str, float, float], command: list[str]) -> None:
        if self._what == what:
            return
        self._running.close()
        self._process = self._running.enter_context(run(f"upstream-{what[0]}", command, {}, self._log))
        self._wait()
        self._what = what

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise NotStarted(f"the upstream did not start; see {self._log}")
