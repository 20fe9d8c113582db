"""One client for all provider tests, as one process has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.providers.client import Client, Pool
from tests.providers.server import Server


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Pool(4))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A test sets `server.answer`."""
    with Server(lambda _: [b""]) as running:
        yield running
