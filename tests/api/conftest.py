"""The API over a socket and the official SDK in front of it; the API in front of servers that keep what they get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.support.front import PROVIDERS, Served, served
from tests.support.recording import Recording, recording


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as running:
        running.configure(explorationRate=0)
        yield running


@pytest.fixture
def client(api: Served) -> Iterator[OpenAI]:
    """As a script makes it: the base URL is all that is ours."""
    for name in PROVIDERS:
        api.lab.set(name, latency=0, error_rate=0, error_kind="server_error", tokens_per_s=400)
    api.reset()
    with OpenAI(base_url=f"{api.url}/v1", api_key="not-needed", max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    with recording(tmp_path_factory.mktemp("recorded")) as made:
        yield made


@pytest.fixture
def front(running: Recording) -> Recording:
    running.reset()
    return running
