"""KEY=VALUE on the command line: what a value is."""

from __future__ import annotations

import json
import re
from typing import Any

#: numbers that people write and JSON does not know: .6, 1., +3
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")


def value(text: str) -> Any:
    """JSON, or a number, else the text as it is; NaN and the infinities are texts, for they are no JSON."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return float(text) if _NUMBER.fullmatch(text) else text
