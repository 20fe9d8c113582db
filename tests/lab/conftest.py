from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lab import RunningLab, running_lab


@pytest.fixture
def lab() -> Iterator[RunningLab]:
    with running_lab() as running:
        yield running
