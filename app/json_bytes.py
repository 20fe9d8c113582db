"""JSON as bytes, by a compiled encoder: a tenth of what the standard library's takes."""

from __future__ import annotations

from collections.abc import Callable

import orjson


def dumps(document: object, otherwise: Callable[[object], bytes]) -> bytes:
    """Compact JSON in UTF-8.

    `otherwise` writes what orjson refuses: half a surrogate pair, whole numbers beyond 64 bits, keys that are no texts.
    """
    try:
        return orjson.dumps(document)
    except TypeError:  # its JSONEncodeError is one
        return otherwise(document)
