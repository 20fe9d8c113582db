from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.lab import profiles
from tests.support.lab import RunningLab, running_lab


@pytest.fixture
def lab() -> Iterator[RunningLab]:
    with running_lab() as running:
        yield running


@pytest.fixture(scope="module")
def lab_of_module() -> Iterator[RunningLab]:
    with running_lab() as running:
        yield running


@pytest.fixture(scope="module")
def figures(lab_of_module: RunningLab) -> dict[str, Any]:
    """Of each provider, before any test."""
    return _figures(lab_of_module)


@pytest.fixture
def shared_lab(lab_of_module: RunningLab, figures: dict[str, Any]) -> RunningLab:
    """One lab for a module of many small tests, as new for each."""
    for provider, present in _figures(lab_of_module).items():
        if present != figures[provider]:
            lab_of_module.set(provider, **figures[provider])
    return lab_of_module


def _figures(lab: RunningLab) -> dict[str, Any]:
    described = lab.get("/lab/profiles")["providers"]
    return {name: {key: each[key] for key in profiles.FIGURES} for name, each in described.items()}
