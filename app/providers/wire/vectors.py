"""Vectors as they come and as they are wanted: numbers, or base64 of 32-bit floats in little-endian order."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from dataclasses import dataclass

from app.errors import UnusableAnswer
from app.providers.base import Embedding, Usage, Vector

BASE64 = "base64"
#: bytes of a number
_SIZE = 4


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a provider gave."""

    vectors: tuple[Vector, ...]
    #: None: it reported none
    usage: Usage | None
    #: as it names it; empty: it does not
    model: str


def check(vectors: tuple[Vector, ...], asked: Embedding) -> None:
    """Raises UnusableAnswer where they are not those of the inputs, one each and all of one size."""
    if len(vectors) != len(asked.inputs):
        raise UnusableAnswer(f"{len(vectors)} vectors came for {len(asked.inputs)} inputs")
    sizes = {_size(vector, asked.encoding) for vector in vectors}
    if len(sizes) != 1 or 0 in sizes:
        raise UnusableAnswer("the vectors are empty, or not all of one size")
    (size,) = sizes
    if asked.dimensions not in (None, size):
        raise UnusableAnswer(f"the vectors have {size} dimensions: {asked.dimensions} were asked for")


def as_wanted(vector: Vector, encoding: str | None) -> Vector:
    """As the caller asked for it, whatever the provider gave."""
    if encoding == BASE64:
        return vector if isinstance(vector, str) else encoded(vector)
    return decoded(vector) if isinstance(vector, str) else vector


def encoded(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode("ascii")


def decoded(text: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // _SIZE}f", data))


def _size(vector: Vector, encoding: str | None) -> int:
    """Base64 that goes on as it is is not taken apart."""
    if not isinstance(vector, str):
        if not all(map(math.isfinite, vector)):
            raise UnusableAnswer("a vector holds what is no number")
        return len(vector)
    try:
        data = base64.b64decode(vector, validate=True)
    except (binascii.Error, ValueError):
        raise UnusableAnswer("a vector is neither numbers nor base64") from None
    size, rest = divmod(len(data), _SIZE)
    if rest or (encoding != BASE64 and not all(map(math.isfinite, struct.unpack(f"<{size}f", data)))):
        raise UnusableAnswer("a vector in base64 is not made of 32-bit numbers")
    return size
