"""Canary calls: to a stub of known delay, by the same client, pool and process, while the probes' calls are in flight.

What they are off by, probes are off by. The stub is a process of its own (canary_stub.py), started with the first call:
in this one it would share the interpreter's lock with what it is to judge.
"""

from __future__ import annotations

import select
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import structlog

from app.domain.catalog import Provider, WireFormat
from app.errors import ProviderError
from app.providers.base import ChatRequest, Endpoint, Message
from app.providers.client import Client

log = structlog.get_logger()

#: of the stub, within the range of a fast provider's first token
DELAY_MS = 50.0
TIMEOUT_MS = 2_000
#: s for the stub to say its port, and between two tries of one that does not
START_S, PAUSE_S = 10.0, 60.0
#: in a round of 40 probes, each of which has a canary, as many as are in flight
CALLS_AT_ONCE = 8

_STUB = Path(__file__).with_name("canary_stub.py")
_REQUEST = ChatRequest(messages=(Message("user", "?"),), max_tokens=1)


class Canary:
    """Safe for threads. `close` ends the stub; without it, the end of this process does."""

    def __init__(self, client: Client, delay_ms: float = DELAY_MS) -> None:
        self._client = client
        self._delay_ms = delay_ms
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._endpoint: Endpoint | None = None
        self._not_before_s = 0.0
        self._beside = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="canary")

    def begin(self) -> Future[float | None]:
        """`error_ms` of a call that is made meanwhile."""
        return self._beside.submit(self.error_ms)

    def error_ms(self) -> float | None:
        """Measured minus true latency of one call; None where none came back."""
        endpoint = self._running()
        if endpoint is None:
            return None
        try:
            stream = self._client.stream(endpoint, "canary", _REQUEST, timeout_ms=TIMEOUT_MS)
            for _ in stream:
                pass
            timing = stream.answer.timing
            return timing.total_ms - timing.connect_ms - float(stream.answer.text)
        except (ProviderError, ValueError) as error:  # no answer, or one that is no number
            log.warning("canary call failed", reason=str(error))
            return None

    def close(self) -> None:
        self._beside.shutdown()
        with self._starting:
            if self._process is not None:
                self._process.communicate()
                self._process, self._endpoint = None, None

    def _running(self) -> Endpoint | None:
        with self._starting:
            if self._process is not None and self._process.poll() is not None:
                self._process.communicate()  # of a dead one: closes its pipes
                self._process = None
            if self._process is None:
                self._endpoint = None if time.monotonic() < self._not_before_s else self._start()
            return self._endpoint

    def _start(self) -> Endpoint | None:
        command = [sys.executable, "-I", str(_STUB), str(self._delay_ms)]
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})  # noqa: S603  # our own program, by its path
        except OSError as error:
            log.warning("canary stub does not start", reason=str(error))
            return None
        assert process.stdout is not None
        said, _, _ = select.select([process.stdout], [], [], START_S)
        port = process.stdout.readline().strip().decode() if said else ""
        if not port:
            process.kill()
            process.communicate()
            log.warning("canary stub does not start", exit_code=process.returncode)
            self._not_before_s = time.monotonic() + PAUSE_S
            return None
        self._process = process
        url = f"http://127.0.0.1:{port}"
        provider = Provider("canary", WireFormat.OPENAI, url, None, ("canary",), price_provider="none")
        return Endpoint(provider, "none")
