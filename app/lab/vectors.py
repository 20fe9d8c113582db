"""Simulated vectors: always the same for one text and one model, of length 1, and without any meaning."""

from __future__ import annotations

import hashlib
import math
import random

#: numbers in a model's vectors, by its name; others have DIMENSIONS
KNOWN = {"text-embedding-3-large": 3072, "gemini-embedding-001": 3072, "gemini-embedding-2": 3072}
DIMENSIONS = 1536


def dimensions_of(model: str) -> int:
    return KNOWN.get(model.rsplit("/", 1)[-1], DIMENSIONS)


def vector(model: str, text: str, dimensions: int) -> list[float]:
    """The first `dimensions` of it, made 1 long again."""
    seed = hashlib.sha256(f"{model}\x00{text}".encode("utf-8", "replace")).hexdigest()
    rng = random.Random(seed)
    values = [rng.gauss(0, 1) for _ in range(dimensions_of(model))][:dimensions]
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]
