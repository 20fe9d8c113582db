"""A client and a server for each test alone: these tests count connections, and leave some broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.providers.client import Client, Pool
from tests.providers.server import Server, whole

PLAIN = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'


@pytest.fixture
def client() -> Iterator[Client]:
    with Pool(4) as pool:
        yield Client(pool)


@pytest.fixture
def server() -> Iterator[Server]:
    """Says Hi until a test sets `server.answer`."""
    with Server(lambda _: whole(200, {}, PLAIN)) as running:
        yield running
