"""Keys of the environment that would open the gateway to whoever tries: short, equal, or an example's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.errors import ConfigError

#: characters that a key has at least, and how many different ones
LEAST, LEAST_DIFFERENT = 16, 8
PLACEHOLDER = re.compile(
    r"^(<.*>|your[-_ ].*|.*change[-_ ]?me.*|.*replace[-_ ]?(me|this).*|sk-\.\.\.|sk-1234.*|x{3,}|\.\.\.|todo"
    r"|.*example.*|.*(admin|api|secret)[-_ ]?key[-_ ]?(here|\d{0,3})?|.*password.*)$",
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
    if PLACEHOLDER.match(key):
        return "holds a placeholder, not a key"
    if len(key) < LEAST:
        return f"is weak: it has {len(key)} characters, and needs {LEAST}"
    if len(set(key)) < LEAST_DIFFERENT:
        return f"is weak: it has {len(set(key))} different characters, and needs {LEAST_DIFFERENT}"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds white space or a character that no header can: it could never be sent"
    return None
