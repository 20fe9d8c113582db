"""The sockets of the API, kept over the processes that serve on them: a restart refuses nobody.

Each process accepts on a socket of its own, so that the kernel shares connections out evenly, and whoever holds them
keeps all that wait: what comes while a process is replaced is served by the next one. Until the first one can serve,
who comes is refused, as ever: a socket listens from then on. The holder is `tooloo api`, or
who started it and handed them over by the protocol of systemd (sd_listen_fds): `tooloo up`, or a .socket unit.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence

#: of systemd: the first descriptor, and what says how many there are, and for whom
FIRST = 3
COUNT, FOR_WHOM = "LISTEN_FDS", "LISTEN_PID"
#: connections that wait to be accepted, of each
BACKLOG = 1024
#: beyond what a process is given
_APART = 64


#: of the process that is forked next
_of_the_next: list[socket.socket] = []


def opened(host: str, port: int, count: int) -> list[socket.socket]:
    """Of one address, which is taken then, and not listened on yet; raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(sock := socket.socket(family, kind, protocol))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address)
            sock.setblocking(False)  # who accepts on it waits in a loop of its own
    except OSError:
        close(sockets)
        raise
    return sockets


def handed_over(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Those that whoever started this process gave it, for whom they are no longer said to be then; [] : none."""
    count, pid = environment.pop(COUNT, "0"), environment.pop(FOR_WHOM, "")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = [socket.socket(fileno=number) for number in range(FIRST, FIRST + int(count))]
    for sock in sockets:
        sock.setblocking(False)
    return sockets


def hand_over(sockets: Sequence[socket.socket], environment: Mapping[str, str]) -> dict[str, str]:
    """Between fork and exec: what is run next has these sockets, and is told so by this environment."""
    apart = [fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, _APART) for sock in sockets]
    for number, descriptor in enumerate(apart, FIRST):
        os.dup2(descriptor, number, inheritable=True)
    return {**environment, COUNT: str(len(sockets)), FOR_WHOM: str(os.getpid())}


def is_for_the_next(sock: socket.socket) -> None:
    """Said before a process is forked that is to serve on it."""
    _of_the_next[:] = [sock]


def begin() -> None:
    """In that process, when it can serve; nothing where it has a socket of another kind."""
    for sock in _of_the_next:
        sock.listen(BACKLOG)


def close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
