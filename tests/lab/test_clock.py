from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator

import pytest

from app.lab.clock import PreciseSelector


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_arrival_is_the_wake_up_before_the_one_a_handler_starts_in(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    with PreciseSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        theirs.send(b"x")
        sent_s = time.monotonic()
        selector.select(1)  # in this turn of the loop the request is read
        read_s = time.monotonic()
        ours.recv(1)
        selector.select(0)  # and in the next its handler starts
        assert sent_s <= selector.arrived_s() <= read_s


def test_a_wait_ends_early_when_something_comes(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    with PreciseSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        theirs.send(b"x")
        assert [key.fileobj for key, _ in selector.select(60)] == [ours]


def test_a_wait_for_nothing_is_over_in_its_time() -> None:
    with PreciseSelector() as selector:
        until_s = time.monotonic() + 0.0125
        assert selector.select(0.0125) == []
        assert time.monotonic() >= until_s
