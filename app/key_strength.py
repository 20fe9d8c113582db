"""Keys of the environment that would open the gateway to whoever tries: short, equal, or an example's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.errors import ConfigError

#: characters that a key has at least, and how many different ones
LEAST, LEAST_DIFFERENT = 16, 8
#: of an example, beside what no secret may be (app.environment)
EXAMPLE = re.compile(
    r"^(.*replace[-_ ]?(me|this).*|sk-1234.*|.*example.*|.*password.*"
    r"|.*(admin|api|secret)[-_ ]?key[-_ ]?(here|\d{0,3})?)$",
    re.IGNORECASE,
)
_MEND = "put a random one there, such as `openssl rand -hex 24` prints"


def check(keys: Mapping[str, str | None]) -> None:
    """By the name of its variable; raises ConfigError that names it."""
    found = {name: key for name, key in keys.items() if key}
    for name, key in found.items():
        if (fault := fault_of(key)) is not None:
            raise ConfigError(f"{name} {fault}: {_MEND}", field=name)
    if len(set(found.values())) < len(found):
        *_, last = found
        raise ConfigError(
            f"{last} is the same as {', '.join(list(found)[:-1])}, and opens as much: {_MEND}", field=last
        )


def fault_of(key: str) -> str | None:
    if EXAMPLE.match(key):
        return "is one of an example, not a key"
    if len(key) < LEAST:
        return f"is weak: it has {len(key)} characters, and needs {LEAST}"
    if len(set(key)) < LEAST_DIFFERENT:
        return f"is weak: it has {len(set(key))} different characters, and needs {LEAST_DIFFERENT}"
    return None
