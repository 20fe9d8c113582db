"""What has come of a tool call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json


@dataclass(slots=True)
class Tool:
    id: str
    name: str
    #: on the wire
    index: int
    arguments: list[str] = field(default_factory=list)
    #: all it went by: some servers make a new one for each piece
    ids: set[str] = field(default_factory=set)
    #: see ToolCall.extra
    extra: Mapping[str, Any] | None = None

    def is_whole(self) -> bool:
        """Are the arguments so far JSON, so that nothing can follow?"""
        last = self.arguments[-1].rstrip()
        if last and not last.endswith(("}", "]", '"', "l")):  # the join of many pieces costs, and there are many
            return False
        try:
            from_json("".join(self.arguments))
        except ValueError:
            return False
        return True


@dataclass(slots=True)
class Waiting:
    """What has come of a tool call that has not begun: without a name nobody can be told of it."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: Mapping[str, Any] | None = None
    #: the name so far is only the beginning of one
    is_named_in_part: bool = False
