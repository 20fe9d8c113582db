"""What one caller can take of an API process: requests in flight are bounded, per key and in all.

A request has a thread from when its body is there until its answer has been sent, or begins to be streamed
(app.api.relay). The bounds lie below the number of threads, so that health, readiness and metrics always find one.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from app.api.relay import Source
from app.errors import Busy, TooManyRequests

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

#: where no bound applies: probes of an orchestrator and of Prometheus
HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
#: s, as Retry-After says
RETRY_S = 1.0
#: key of the WSGI environment
TICKET = "tooloo.ticket"


#: what clients call that were given the base URL without its /v1, or end paths with a slash → what they mean
MEANT = {
    f"{prefix}/{route}{slash}": f"/v1/{route}"
    for prefix in ("", "/v1")
    for route in (
        *("chat/completions", "completions", "embeddings", "responses", "models"),
        *("messages", "messages/count_tokens"),
    )
    for slash in ("", "/")
} | {  # Anthropic's clients add the /v1 themselves
    f"/v1/v1/{route}": f"/v1/{route}" for route in ("messages", "messages/count_tokens", "models")
}
#: what two protocols have, each in its own shape, and where the clients of the second find theirs
_MODELS, _ANTHROPICS = "/v1/models", "/v1/anthropic/models"


def renamed(serve: Wsgi) -> Wsgi:
    """The same, for paths that are meant as others: also by who asks."""

    def inner(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        meant = MEANT.get(environ.get("PATH_INFO", ""))
        if meant is not None:
            environ["PATH_INFO"] = meant
        if "HTTP_ANTHROPIC_VERSION" in environ:
            path = environ.get("PATH_INFO", "")
            if path == _MODELS or path.startswith(f"{_MODELS}/"):
                environ["PATH_INFO"] = _ANTHROPICS + path.removeprefix(_MODELS)
        return serve(environ, start)

    return inner


class Ticket:
    """One request's place; given back once, when its answer has been sent or nobody wants it any more."""

    __slots__ = ("_gate", "_key", "admitted", "then")

    def __init__(self, gate: Gate, *, admitted: bool) -> None:
        self._gate = gate
        self._key: str | None = None
        self.admitted = admitted
        #: called when it is given back
        self.then: Callable[[], None] | None = None

    def enter(self, key: str) -> None:
        """Count it against the key that asks; raises Busy or TooManyRequests where there is no place."""
        if not self.admitted:
            raise Busy(f"{self._gate.most} requests are in flight here already: try again in a moment")
        if not self._gate.enter(key):
            text = f"{self._gate.most_per_key} requests of this key are in flight here already: wait for some to end"
            raise TooManyRequests(text, retry_after_s=RETRY_S)
        self._key = key

    def release(self) -> None:
        if self.admitted:
            self.admitted = False
            self._gate.leave(self._key)
            if self.then is not None:
                self.then()


class Gate:
    """Requests in flight in this process."""

    def __init__(self, most: int, most_per_key: int) -> None:
        self.most, self.most_per_key = most, most_per_key
        self._lock = threading.Lock()
        self._all = 0
        self._of_key: Counter[str] = Counter()

    def ticket(self) -> Ticket:
        with self._lock:
            admitted = self._all < self.most
            self._all += admitted
        return Ticket(self, admitted=admitted)

    def enter(self, key: str) -> bool:
        with self._lock:
            if self._of_key[key] >= self.most_per_key:
                return False
            self._of_key[key] += 1
            return True

    def leave(self, key: str | None) -> None:
        with self._lock:
            self._all -= 1
            if key is not None:
                self._of_key[key] -= 1
                if not self._of_key[key]:
                    del self._of_key[key]


class Held:
    """The answer's body as the server reads it, and what is to be done when it is closed."""

    __slots__ = ("_inner", "_then")

    def __init__(self, inner: Iterable[bytes], then: Callable[[], None]) -> None:
        self._inner = inner
        self._then = then

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    @property
    def source(self) -> Source | None:
        """What its next piece is waited for; None: it does not say."""
        return getattr(self._inner, "source", None)

    def close(self) -> None:
        try:
            if (close := getattr(self._inner, "close", None)) is not None:
                close()
        finally:
            self._then()


def bounded(app: Wsgi, gate: Gate) -> Wsgi:
    """`app` behind the bounds; who calls is known to it alone, so it calls `Ticket.enter`."""

    def serve(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in HEALTH:
            return app(environ, start_response)
        ticket = environ[TICKET] = gate.ticket()
        try:
            return Held(app(environ, start_response), ticket.release)
        except BaseException:
            ticket.release()
            raise

    return serve
