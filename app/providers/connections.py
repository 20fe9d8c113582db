"""urllib3 connections that know their call: they measure its set-up, and keep its deadline on every receive.

A read time-out of a socket starts anew with each byte, so a peer that trickles bytes is never late by it. Here the
socket itself holds the deadline of the call, below HTTP, TLS and chunked encoding, so nothing a server sends gets
around it. Only the system's resolver is out of reach: a name look-up takes as long as resolv.conf lets it.
"""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from time import perf_counter
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util import Timeout, create_urllib3_context

from app.providers.clock import CURRENT, Call

#: for all addresses of a name and the TLS handshake together
CONNECT_S = 5.0
#: an idle connection older than this is not trusted: routers forget it in silence, and the next call would hang
IDLE_S = 60.0
#: hosts whose connections are kept
HOSTS = 100

#: what the machine says when it, and not the provider, is the reason
LOCAL = {
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EADDRNOTAVAIL,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EACCES,
    errno.EPERM,
}


def is_local(error: OSError) -> bool:
    """TLS has numbers of its own, which mean other things."""
    return error.errno in LOCAL and not isinstance(error, ssl.SSLError)


class DeadlineSocket(socket.socket):
    """A socket whose receives and sends together end at `deadline_s` of perf_counter()."""

    deadline_s: float | None = None
    used_s: float = 0.0

    def _limit(self) -> None:
        self.used_s = perf_counter()
        if self.deadline_s is not None:
            left_s = self.deadline_s - self.used_s
            if left_s <= 0:
                raise TimeoutError("the deadline of the call has passed")
            self.settimeout(left_s)

    def recv_into(self, *args: Any, **options: Any) -> int:
        self._limit()
        return super().recv_into(*args, **options)

    def send(self, *args: Any, **options: Any) -> int:
        self._limit()
        return super().send(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        self._limit()
        super().sendall(*args, **options)

    def interrupt(self) -> None:
        """End what another thread waits for. Not SSLSocket.shutdown(): it takes the TLS from under its reader."""
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(self, socket.SHUT_RDWR)


class DeadlineTlsSocket(DeadlineSocket, ssl.SSLSocket):
    """The same over TLS; SSLContext.sslsocket_class makes them."""


class Connection(HTTPConnection):
    """Runs the current call (clock.CURRENT)."""

    #: the one it runs; None in the pool
    call: Call | None = None
    #: pieces of a request that is being written
    _held: list[bytes] | None = None

    def connect(self) -> None:
        call = CURRENT.get()
        started_s = perf_counter()
        try:
            super().connect()
        finally:
            call.connect_ms = (perf_counter() - started_s) * 1000
        assert isinstance(self.sock, DeadlineSocket)
        call.run_on(self.sock)

    def request(self, *args: Any, **options: Any) -> None:
        self.call = CURRENT.get()
        if isinstance(self.sock, DeadlineSocket):
            self.call.run_on(self.sock)
        self._held = []
        try:
            super().request(*args, **options)
        finally:
            held, self._held = self._held, None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Head and body leave together: http.client would send them apart, two system calls and two TLS records."""
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    def release(self) -> None:
        """Out of its call's reach, before another can have it."""
        if self.call is not None:
            self.call.release()
            self.call = None

    @property
    def is_connected(self) -> bool:
        fresh = isinstance(self.sock, DeadlineSocket) and perf_counter() - self.sock.used_s < IDLE_S
        return fresh and super().is_connected

    def _new_conn(self) -> socket.socket:
        """A connected socket. urllib3's own would grant each address of the name the whole time-out."""
        timeout_s = self.timeout or CONNECT_S
        try:
            addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError:
            raise LocationParseError(f"{self.host!r}, label empty or too long") from None
        give_up_s = perf_counter() + timeout_s
        failures: list[OSError] = []
        for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share_s = max((give_up_s - perf_counter()) / left, 0.001)
            try:
                sock = _connected(family, kind, protocol, address, share_s, self.socket_options)
            except OSError as error:
                failures.append(error)
            else:
                sock.settimeout(max(give_up_s - perf_counter(), 0.001))
                return sock
        raise self._telling(failures)

    def _telling(self, failures: list[OSError]) -> NewConnectionError | ConnectTimeoutError:
        """Of several addresses' failures the one that says most of the provider: a refusal, a silence, our own way."""
        told = min(failures, key=lambda failure: (is_local(failure), isinstance(failure, TimeoutError)))
        if isinstance(told, TimeoutError):
            return ConnectTimeoutError(self, f"connection to {self.host} timed out")
        error = NewConnectionError(self, str(told))
        error.__cause__ = told
        return error


def _connected(family: int, kind: int, protocol: int, address: Any, timeout_s: float, options: Any) -> DeadlineSocket:
    sock = DeadlineSocket(family, kind, protocol)
    try:
        for option in options or ():
            sock.setsockopt(*option)
        sock.settimeout(timeout_s)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class TlsConnection(Connection, HTTPSConnection):
    pass


class Pool(HTTPConnectionPool):
    ConnectionCls = Connection

    def _put_conn(self, conn: Any) -> None:
        _release(conn)
        super()._put_conn(conn)


class TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection

    def _put_conn(self, conn: Any) -> None:
        _release(conn)
        super()._put_conn(conn)


def _release(connection: object) -> None:
    if isinstance(connection, Connection):  # urllib3 puts None in the place of one that never came about
        connection.release()


def new_pool(size: int) -> urllib3.PoolManager:
    """Connections for one process: kept alive, up to `size` idle ones per host, no retries, no redirects.

    Certificates are checked against the system's store (or SSL_CERT_FILE).
    """
    context = create_urllib3_context()
    context.load_default_certs()
    context.sslsocket_class = DeadlineTlsSocket
    pool = urllib3.PoolManager(
        num_pools=HOSTS,
        maxsize=size,
        retries=False,
        timeout=Timeout(connect=CONNECT_S, read=CONNECT_S),
        ssl_context=context,
    )
    pool.pool_classes_by_scheme = {"http": Pool, "https": TlsPool}
    return pool
