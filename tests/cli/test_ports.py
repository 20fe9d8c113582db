"""`tooloo api` on a port that somebody serves: it would share it, and take half of the requests."""

from __future__ import annotations

import socket
import threading

import pytest

from app.cli import ports
from app.cli.ports import Port
from app.errors import ConfigError


def _listening() -> socket.socket:
    """As the API's own server listens."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    held.listen()
    return held


def test_a_port_that_another_installation_shares_is_refused_by_name() -> None:
    with _listening() as held:
        port = Port(held.getsockname()[1], "127.0.0.1", "API", "TOOLOO_PORT")
        with pytest.raises(ConfigError, match=rf"port {port.number} \(API\) is in use by .*; set TOOLOO_PORT"):
            ports.wait_for(port, 0)


def test_one_that_is_about_to_end_is_waited_for() -> None:
    held = _listening()
    port = Port(held.getsockname()[1], "127.0.0.1", "API", "TOOLOO_PORT")
    ending = threading.Timer(0.3, held.close)
    ending.start()

    ports.wait_for(port, 20)
    ending.join()
