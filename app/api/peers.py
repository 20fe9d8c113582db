"""Which user of this machine is at the other end of a connection over loopback: the kernel knows whose socket it is.

Asked for one connection by its four numbers, which takes some microseconds; where that cannot be done, read out of
/proc. A socket that its program has closed belongs to nobody, which the kernel writes as root: it counts as unknown.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

#: key of the WSGI environment: a Connection, set by who holds the socket
PEER = "tooloo.peer"

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_ANY_STATE, _NO_COOKIE = 0xFFF, b"\xff" * 8
#: of the answer: nlmsghdr, then inet_diag_msg, in which uid and inode stand at 64
_HEADER, _UID = struct.Struct("=IHHII"), struct.Struct("=II")
_UID_AT = _HEADER.size + 64
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
#: of a table that changes while it is read, and may lack a line for that
READINGS = 3


class Connection(NamedTuple):
    """Both ends as HOST:PORT; IPv6 with or without brackets."""

    client: str
    server: str


def uid_of(connection: Connection) -> int | None:
    """Of who holds the client's end; None: not of this machine, or not to be known."""
    client, server = _end(connection.client), _end(connection.server)
    if client is None or server is None:
        return None
    with suppress(OSError):
        return _asked(client, server)
    return _read(client, server)


_End = tuple[bytes, int]


@lru_cache(maxsize=1000)
def _end(text: str) -> _End | None:
    host, _, port = text.rpartition(":")
    host = host.strip("[]").removeprefix("::ffff:")
    try:
        address = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        number = int(port)
    except (OSError, ValueError):
        return None
    return (address, number) if 0 < number < 2**16 else None


def _asked(client: _End, server: _End) -> int | None:
    """Raises OSError where the kernel cannot be asked."""
    family = socket.AF_INET if len(client[0]) == 4 else socket.AF_INET6
    ends = struct.pack(">HH", client[1], server[1]) + client[0].ljust(16, b"\0") + server[0].ljust(16, b"\0")
    asked = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _ANY_STATE) + ends + b"\0" * 4 + _NO_COOKIE
    with _netlink() as netlink:
        netlink.send(_HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + asked)
        told = netlink.recv(4096)
    if len(told) < _UID_AT + _UID.size or _HEADER.unpack_from(told)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    uid, inode = _UID.unpack_from(told, _UID_AT)
    return int(uid) if inode else None


def _netlink() -> socket.socket:
    """An answer that does not come is an OSError. Raises OSError where there is none."""
    if (family := getattr(socket, "AF_NETLINK", None)) is None:
        raise OSError("no netlink here")
    made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    made.settimeout(0.5)
    return made


def _read(client: _End, server: _End) -> int | None:
    wanted = (_hex(client), _hex(server))
    for _ in range(READINGS):
        for local, remote, uid, inode in _sockets():
            if (local, remote) == wanted:
                return int(uid) if inode != "0" else None
    return None


def _sockets() -> Iterator[tuple[str, str, str, str]]:
    """Both ends, uid and inode of every TCP socket."""
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            field = line.split()
            yield field[1], field[2], field[7], field[9]


def _hex(end: _End) -> str:
    """As /proc writes it: words of the host's byte order."""
    address, port = end
    words = struct.unpack(f"={len(address) // 4}I", address)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
