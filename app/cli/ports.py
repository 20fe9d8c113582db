"""A port that is taken is said before anything listens on it."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Port:
    number: int
    host: str
    #: who will listen on it
    service: str
    #: variable that changes it
    variable: str


def wait_for(port: Port, patience_s: float) -> None:
    """The API shares its port with any other of the same user; two installations would answer in turn.

    One that has just ended is waited for. Raises ConfigError that names who has it.
    """
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            return check_ports([port])
        except ConfigError:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(0.2)


def check_ports(ports: Sequence[Port]) -> None:
    """Raises ConfigError naming the first port that is taken, by whom if that is to be seen, and what changes it."""
    for index, port in enumerate(ports):
        for other in ports[:index]:
            if port.number == other.number:
                raise ConfigError(
                    f"{other.service} and {port.service} cannot both have port {port.number}: "
                    f"set {other.variable} or {port.variable}",
                    field=port.variable,
                )
        problem = _bind_problem(port)
        if problem is not None:
            raise ConfigError(
                f"port {port.number} ({port.service}) {problem}; set {port.variable}", field=port.variable
            )


def _bind_problem(port: Port) -> str | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(port.host, port.number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"is in use{_user_of(port.number)}"
        return f"cannot be opened on {port.host}: {error.strerror}"
    return None


def _user_of(port: int) -> str:
    """` by NAME (pid N)`, where the system lets us see that."""
    try:
        import psutil  # what runs alone in a container may be without it
    except ImportError:
        return ""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and tuple(connection.laddr)[1] == port:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
