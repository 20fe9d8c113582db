"""The official SDK of Anthropic's in front of the API, which has the lab behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anthropic import Anthropic

from tests.support.front import PROVIDERS, Served


@pytest.fixture
def client(api: Served) -> Iterator[Anthropic]:
    """As a script makes it: the base URL is all that is ours."""
    for name in PROVIDERS:
        api.lab.set(name, latency=0, error_rate=0, error_kind="server_error", tokens_per_s=400)
    api.reset()
    with Anthropic(base_url=api.url, api_key="not-needed", max_retries=0, timeout=30) as made:
        yield made
