"""Figures in words."""

from __future__ import annotations

import pytest

from app.domain.shown import usd


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "$0"), (4.8e-5, "$0.000048"), (3.2e-7, "$0.00000032"), (0.0002699, "$0.0002699"), (1.25, "$1.25")],
)
def test_a_price_is_written_out(value: float, said: str) -> None:
    assert usd(value) == said
