"""Connections that are kept, and that know their call: they measure its set-up, and keep its deadline on every wait.

A read time-out of a socket starts anew with each byte, so a peer that trickles bytes is never late by it. Here every
send and every receive has what is left until the deadline of the call, below TLS and HTTP, so nothing a server sends
gets around it. Only the system's resolver is out of reach: a name look-up takes as long as resolv.conf lets it.
"""

from __future__ import annotations

import math
import select
import socket
import ssl
import struct
import weakref
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter
from typing import Self

from app.errors import ConnectionLost, LocalFailure, ProviderError
from app.providers.http.clock import Call
from app.providers.http.dialing import Origin, Way, connected, context, is_local

#: for all addresses of a name and the TLS handshake together
CONNECT_S = 5.0
#: an idle connection older than this is not trusted: routers forget it in silence, and the next call would hang
IDLE_S = 60.0
#: s; a wait that ends sooner is left to poll(). The kernel's socket time-outs end up to an eighth too late, so each of
#: them is asked for no more than EARLY of what is left, and the rest is waited for anew
NEAR_S, EARLY = 1.0, 0.75
#: bytes taken from the connection at once
PIECE = 64 * 1024

#: what sending raises where the peer reads no more; it may have said why
HUNG_UP = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)

_TIMEVAL = struct.Struct("@ll")


class Connection:
    """A socket that runs one call at a time; its sends and receives together end at `deadline_s` of perf_counter(),
    and a receive after `idle_s` without a byte. Every `beat_s` of waiting, who waits is told that it goes on."""

    def __init__(self, origin: Origin, sock: socket.socket) -> None:
        self.origin = origin
        self.deadline_s: float | None = None
        self.idle_s: float | None = None
        self.beat_s: float | None = None
        #: False: a receive gives what is there already; see `is_early`
        self.waits = True
        #: nothing was there, and it is not time for a beat: to be asked again at `wake_s` of perf_counter(), or sooner
        self.is_early = False
        self.wake_s = math.inf
        #: since when nothing comes, where it does not wait; None: something has just come
        self._since_s: float | None = None
        #: the last receive took all there was
        self._empty = False
        #: an earlier call ran over it, and nothing has been received of the present one
        self.kept = False
        #: s that were waited for the next byte in vain, so far
        self._silent_s = 0.0
        #: s; the kernel's time-outs, by their option
        self._kernels_s: dict[int, float] = {}
        self._sock = sock
        self._tls = isinstance(sock, ssl.SSLSocket)
        if not self._tls:
            sock.settimeout(None)  # the kernel's own time-outs hold: _limit
        self._arrivals = select.poll()
        self._arrivals.register(sock, select.POLLIN)
        #: seconds of perf_counter(); when it was put into the pool
        self.idle_since_s = 0.0

    def send(self, data: bytes) -> None:
        """Raises OSError; TimeoutError at the deadline."""
        left = memoryview(data)
        while left:
            self._limit(socket.SO_SNDTIMEO)
            try:
                left = left[self._sock.send(left) :]
            except BlockingIOError:  # the kernel's time-out: _limit looks whether it was the deadline
                continue

    def receive(self) -> bytes | None:
        """What has arrived, as soon as anything has; nothing at the connection's end, None after `beat_s` of waiting.

        Raises as `send` does, also after `idle_s` of silence.
        """
        if not self.waits:
            return self._arrived()
        began_s = perf_counter()
        give_up_s, wake_s = self._limits(began_s)
        left_s = wake_s - began_s
        while left_s > 0:
            data = self._received(left_s)
            if data is not None:
                self._silent_s = 0.0
                self.kept = self.kept and not data
                return data
            left_s = wake_s - perf_counter()
        if wake_s < give_up_s:
            self._silent_s += perf_counter() - began_s
            return None
        raise TimeoutError("a limit of the call has passed")

    def _limits(self, since_s: float) -> tuple[float, float]:
        """For a wait since then: when it is given up, and when who waits is to hear of it; perf_counter()."""
        give_up_s = since_s + CONNECT_S if self.deadline_s is None else self.deadline_s
        if self.idle_s is not None:
            give_up_s = min(give_up_s, since_s + self.idle_s - self._silent_s)
        return give_up_s, give_up_s if self.beat_s is None else min(give_up_s, since_s + self.beat_s)

    def _arrived(self) -> bytes | None:
        """`receive` without waiting."""
        data = None if self._empty else self._at_hand()
        now_s = perf_counter()
        if data is not None:
            # what is left wakes whoever polls the socket: TLS holds nothing back, as its records are shorter than PIECE
            self._empty = 0 < len(data) < PIECE
            self._since_s, self._silent_s = None, 0.0
            self.kept = self.kept and not data
            return data
        self._empty = False
        if self._since_s is None:
            self._since_s = now_s
        give_up_s, self.wake_s = self._limits(self._since_s)
        if now_s >= give_up_s:
            raise TimeoutError("a limit of the call has passed")
        self.is_early = now_s < self.wake_s
        if not self.is_early:
            self._silent_s += now_s - self._since_s
            self._since_s = None
        return None

    def _at_hand(self) -> bytes | None:
        try:
            if not self._tls:
                return self._sock.recv(PIECE, socket.MSG_DONTWAIT)
            if self._sock.gettimeout() != 0:
                self._sock.settimeout(0)
            return self._sock.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def wait(self, *, waits: bool) -> None:
        """Shall a receive wait from now on?"""
        self.waits, self.is_early = waits, False
        self._since_s, self._empty = None, False

    def fileno(self) -> int:
        return self._sock.fileno()

    def _received(self, left_s: float) -> bytes | None:
        """None where nothing came, some time before `left_s` are over or right then."""
        try:
            if self._tls:
                self._sock.settimeout(left_s)
                return self._sock.recv(PIECE)
            if left_s > NEAR_S:
                self._kernels_limit(socket.SO_RCVTIMEO, left_s * EARLY)
                return self._sock.recv(PIECE)
            if self._arrivals.poll(math.ceil(left_s * 1000)):
                return self._sock.recv(PIECE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except TimeoutError as error:
            if error.errno is not None:  # the peer's machine is gone; our own limit has no number
                raise
        return None

    def _limit(self, option: int) -> None:
        """Let the next send end at the deadline.

        settimeout() is a system call before each wait, and makes one more of it, each of which gives the interpreter's
        lock away. The kernel's time-outs cost none of that; TLS, which reads through Python's, needs it all the same.
        """
        left_s = CONNECT_S if self.deadline_s is None else self.deadline_s - perf_counter()
        if left_s <= 0:
            raise TimeoutError("the deadline of the call has passed")
        if self._tls:
            self._sock.settimeout(left_s)
        else:
            self._kernels_limit(option, left_s)

    def _kernels_limit(self, option: int, limit_s: float) -> None:
        """At most `limit_s`: whoever waits looks at the time, and waits anew. What is set already mostly does."""
        if limit_s / 2 <= self._kernels_s.get(option, 0.0) <= limit_s:
            return
        asked_s = limit_s * EARLY
        seconds = int(asked_s)
        timeval = _TIMEVAL.pack(seconds, int((asked_s - seconds) * 1e6) or 1)  # both 0 would be no limit at all
        self._sock.setsockopt(socket.SOL_SOCKET, option, timeval)
        self._kernels_s[option] = asked_s

    def interrupt(self) -> None:
        """End what another thread waits for. Not SSLSocket.shutdown(): it takes the TLS from under its reader."""
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def is_fresh(self) -> bool:
        """May a call be sent? Not where the peer has closed it, or sent what nobody asked for."""
        return perf_counter() - self.idle_since_s < IDLE_S and not self._arrivals.poll(0)

    def close(self) -> None:
        with suppress(OSError):
            self._sock.close()


class Pool:
    """The connections of one process: up to `size` idle ones are kept for each origin. Safe for threads.

    Certificates are checked against the system's store (or SSL_CERT_FILE), where the way to an origin names none.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: defaultdict[Origin, deque[Connection]] = defaultdict(deque)
        #: closes those that are idle; so does the end of the pool
        self.close = weakref.finalize(self, _close, self._idle)
        self._contexts = {Way(): context(Way())}

    def take(self, origin: Origin, call: Call, *, new: bool = False) -> Connection:
        """A connection that runs the call: the one used last, else a new one. Raises a ProviderError."""
        connection = (None if new else self._kept(origin)) or self._new(origin, call)
        try:
            call.run_on(connection)
        except ConnectionAbortedError as error:
            connection.close()
            raise ConnectionLost(str(error)) from None
        return connection

    def give_back(self, connection: Connection) -> None:
        """Once its call has released it, and nothing of the call is left on it."""
        connection.idle_since_s = perf_counter()
        connection.kept = True
        idle = self._idle[connection.origin]
        if len(idle) < self._size:
            idle.append(connection)
        else:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kept(self, origin: Origin) -> Connection | None:
        idle = self._idle[origin]
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was faster
                break
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def _new(self, origin: Origin, call: Call) -> Connection:
        started_s = perf_counter()
        give_up_s = started_s + min(CONNECT_S, max(call.left_s, 0.001))
        try:
            sock = connected(origin, give_up_s)
            return Connection(origin, self._secured(sock, origin, give_up_s) if origin.tls else sock)
        except OSError as error:
            raise failure(error, call, ConnectionLost, "no connection") from error
        finally:
            call.connect_ms = (perf_counter() - started_s) * 1000

    def _secured(self, sock: socket.socket, origin: Origin, give_up_s: float) -> ssl.SSLSocket:
        sock.settimeout(max(give_up_s - perf_counter(), 0.001))
        try:
            return self._context(origin.way).wrap_socket(sock, server_hostname=origin.host)
        except BaseException:
            sock.close()
            raise

    def _context(self, way: Way) -> ssl.SSLContext:
        """One for all that have the same certificates, whatever their proxy: a file is read once."""
        files = way._replace(proxy=None)
        found = self._contexts.get(files)
        if found is None:
            found = self._contexts.setdefault(files, context(files))
        return found


def _close(idle: Mapping[Origin, deque[Connection]]) -> None:
    for connections in idle.values():
        while connections:
            connections.pop().close()


def failure(error: OSError, call: Call, lost: type[ConnectionLost], event: str) -> ProviderError:
    """The one place where what a socket raises becomes ours."""
    if isinstance(error, TimeoutError):
        return call.timed_out()
    if isinstance(error, socket.gaierror):
        return LocalFailure("the provider's name cannot be resolved")
    if is_local(error):
        return LocalFailure(f"{event}: {error.strerror}")
    return lost(f"{event}: {error.strerror or type(error).__name__}")
