"""How a connection comes about: where it leads, by which way, and each address of a name in turn."""

from __future__ import annotations

import errno
import socket
import ssl
from time import perf_counter
from typing import NamedTuple

from app.errors import ConnectionLost, LocalFailure

#: bytes of the longest answer of a proxy that is asked for a tunnel
MAX_TUNNEL_HEAD = 64 * 1024
#: what proxies say of themselves or of us; anything else from 500 on is about the provider
WANTS_PASSWORD = 407

#: what the machine says when it, and not the provider, is the reason
LOCAL = {
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EACCES,
    errno.EPERM,
}


class Proxy(NamedTuple):
    """A forward proxy, which is spoken to in plain HTTP."""

    host: str
    port: int
    #: value of Proxy-Authorization; "" where it asks for none
    authorization: str = ""

    @property
    def place(self) -> str:
        return f"{written(self.host)}:{self.port}"


class Way(NamedTuple):
    """How connections to a provider are made. Files of PEM; "": the system's store, and no certificate of ours."""

    proxy: Proxy | None = None
    ca_bundle: str = ""
    client_cert: str = ""
    #: "": it stands in client_cert
    client_key: str = ""


DIRECT = Way()


class Origin(NamedTuple):
    """Where connections lead."""

    tls: bool
    host: str
    port: int
    way: Way = DIRECT

    @property
    def asked_of_proxy(self) -> Proxy | None:
        """The proxy that reads our requests; through a tunnel it does not."""
        return None if self.tls else self.way.proxy


def context(way: Way) -> ssl.SSLContext:
    """Raises OSError, or its ssl.SSLError, for files that are missing or do not fit."""
    made = ssl.create_default_context(cafile=way.ca_bundle or None)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    if way.client_cert:
        # without a password of our own, OpenSSL would ask for one on the terminal
        made.load_cert_chain(way.client_cert, way.client_key or None, password=lambda: b"")
    return made


def connected(origin: Origin, give_up_s: float) -> socket.socket:
    """A socket on which to speak to the origin, be it through a proxy.

    Raises OSError, and LocalFailure where it is the proxy that fails, or ConnectionLost where it says that the provider
    does.
    """
    proxy = origin.way.proxy
    if proxy is None:
        return _connected_to_any(origin.host, origin.port, give_up_s)
    try:
        sock = _connected_to_any(proxy.host, proxy.port, give_up_s)
    except OSError as error:
        raise LocalFailure(f"no connection to the proxy {proxy.place}: {_why(error)}") from error
    if not origin.tls:
        return sock
    try:
        _tunnel(sock, origin, proxy, give_up_s)
    except BaseException:
        sock.close()
        raise
    return sock


def _tunnel(sock: socket.socket, origin: Origin, proxy: Proxy, give_up_s: float) -> None:
    place = f"{written(origin.host)}:{origin.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", "User-Agent: tooloo"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        sock.settimeout(max(give_up_s - perf_counter(), 0.001))
        sock.sendall("\r\n".join((*lines, "", "")).encode("latin-1"))
        status = _tunnels_status(sock, give_up_s)
    except TimeoutError:  # it waits for the provider
        raise
    except OSError as error:
        raise LocalFailure(f"the proxy {proxy.place} gave no tunnel: {_why(error)}") from error
    if status == WANTS_PASSWORD:
        raise LocalFailure(f"the proxy {proxy.place} wants a user and a password, or others (407)")
    if not 200 <= status < 300:
        kind = ConnectionLost if status >= 500 else LocalFailure
        raise kind(f"the proxy {proxy.place} gave no tunnel to {place}: it answered {status}")


def _tunnels_status(sock: socket.socket, give_up_s: float) -> int:
    """Of the proxy's answer, which has no body where it is a tunnel."""
    head = b""
    while b"\r\n\r\n" not in head:
        sock.settimeout(max(give_up_s - perf_counter(), 0.001))
        data = sock.recv(4096)
        if not data or len(head) > MAX_TUNNEL_HEAD:
            raise ConnectionResetError(errno.ECONNRESET, "it closed without an answer")
        head += data
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ConnectionResetError(errno.ECONNRESET, "its answer is no HTTP")
    return int(rest[:3])


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return error.strerror or type(error).__name__


def written(host: str) -> str:
    """As URLs have it."""
    return f"[{host}]" if ":" in host else host


def is_local(error: OSError) -> bool:
    """TLS has numbers of its own, which mean other things."""
    return error.errno in LOCAL and not isinstance(error, ssl.SSLError)


def _connected_to_any(host: str, port: int, give_up_s: float) -> socket.socket:
    """A connected socket. Every address of the name gets its share of the time, and not the whole of it."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from None
    failures: list[OSError] = []
    try:
        for left, (*kind, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                return _connected_to(kind, address, max((give_up_s - perf_counter()) / left, 0.001))
            except OSError as error:
                failures.append(error)
        raise most_telling(failures)
    finally:
        failures.clear()  # each holds this frame by its traceback: only the garbage collector would end that


def _connected_to(kind: list[int], address: tuple[str | int | bytes, ...], timeout_s: float) -> socket.socket:
    sock = socket.socket(*kind)  # OSError too: a machine without IPv6 is told addresses of it all the same
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout_s)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def most_telling(failures: list[OSError]) -> OSError:
    """Of several addresses' failures the one that says most of the provider: a refusal, a silence, our own way."""
    return min(failures, key=lambda failure: (is_local(failure), isinstance(failure, TimeoutError)))
