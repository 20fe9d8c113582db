"""What a row of the tables is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass(frozen=True)
class Case:
    """Keys of `refused` and `accepted` are laid over the plainest body of that server."""

    rule: str
    server: str
    refused: Mapping[str, Any]
    accepted: Mapping[str, Any]
    #: empty: the server's first
    model: str = ""
