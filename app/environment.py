"""The environment and `.env` as they are found, before anything in them is a setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from app.errors import ConfigError

#: what Kubernetes and Docker put there for every service, whose names may begin as ours do
_OF_A_SERVICE = re.compile(r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$")
_ADDRESS_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://")
#: that Celery would put before what it is told
_CELERYS = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND")

_PLACEHOLDER = re.compile(
    r"^(<.*>|your[-_ ].*|.*change[-_ ]?me.*|replace[-_ ]?me|placeholder|sk-\.\.\.|x{3,}|\*{3,}|\.\.\.|todo)$",
    re.IGNORECASE,
)
QUOTES = "\"'`"
_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)")
#: of a variable whose value is in a file, as orchestrators hand over secrets
FILE = "_FILE"
#: bytes; a secret is a line
_LONGEST_SECRET = 64 * 1024


def gather(environment: Mapping[str, str], dotenv: Path | None, secrets: Iterable[str]) -> dict[str, str]:
    """The environment over `.env`, without what an orchestrator adds; of `secrets` the content where a file is named.

    Raises ConfigError that names the variable, or file and line; never with a value.
    """
    merged: dict[str, str] = {}
    if dotenv is not None and dotenv.is_file():
        merged |= _read(dotenv)
    merged |= {name: value for name, value in environment.items() if not of_a_service(name, value)}
    for name in secrets:
        if merged.get(name + FILE, "").strip():
            merged[name] = _content(merged, name)
            del merged[name + FILE]
    return merged


def of_a_service(name: str, value: str) -> bool:
    """Is it what Kubernetes or Docker sets for a service, and not what a person set?"""
    return bool(_OF_A_SERVICE.search(name) or (name.endswith("_PORT") and _ADDRESS_OF_A_SERVICE.match(value)))


def disregard(environment: MutableMapping[str, str]) -> None:
    """Takes out what would reach Flower and Celery past the settings."""
    for name in [*environment]:
        foreign = name.startswith(("FLOWER_", "CELERY_")) and of_a_service(name, environment[name])
        if foreign or name in _CELERYS:
            del environment[name]


def secret(values: Mapping[str, str], name: str) -> str | None:
    """The secret in variable `name`, or in the file that `name`_FILE names; None: neither is set.

    Raises ConfigError for what cannot be one.
    """
    text = _content(values, name) if values.get(name + FILE, "").strip() else values.get(name, "")
    value = text.strip()
    if not value:
        return None
    if value[0] in QUOTES and value[-1] == value[0]:
        raise ConfigError(
            f"{name} stands in quotes, which `docker run --env-file` and the like keep: write it without", field=name
        )
    if _PLACEHOLDER.match(value):
        raise ConfigError(f"{name} holds a placeholder, not a key: put the key there or remove the line", field=name)
    return value


def token(values: Mapping[str, str], name: str) -> str | None:
    """A secret that is sent in a header: of printable ASCII, in one word."""
    value = secret(values, name)
    if value is not None and (value[0] in QUOTES or value[-1] in QUOTES):
        raise ConfigError(f"{name} begins or ends with a quote: write it without", field=name)
    if value is not None and (not value.isascii() or not value.isprintable() or re.search(r"\s", value)):
        raise ConfigError(
            f"{name} holds white space or a character no key has: copy the key again, on one line", field=name
        )
    return value


def _content(values: Mapping[str, str], name: str) -> str:
    variable, path = name + FILE, Path(values[name + FILE].strip())
    if values.get(name, "").strip():
        raise ConfigError(f"{name} and {variable} are both set: set one of them", field=variable)
    try:
        with path.open(encoding="utf-8-sig") as file:
            found = file.read(_LONGEST_SECRET + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{variable}: {path} cannot be read: {why}", field=variable) from None
    if not found or len(found) > _LONGEST_SECRET:
        raise ConfigError(f"{variable}: {path} holds {'too much' if found else 'nothing'}", field=variable)
    return found


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}", field=path.name) from None
    found = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            raise _wrong_line(path, binding)
        if binding.key is not None and binding.value:
            found[binding.key] = binding.value
    return found


def _wrong_line(path: Path, binding: Binding) -> ConfigError:
    """Names the variable, and not what may be its secret."""
    written = binding.original.string
    line = binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
    found = _NAME.match(written)
    name = found.group(1) if found else None
    where = f"{path.name}, line {line}" + (f": {name}" if name else "")
    behind = written[found.end() :].lstrip(" \t") if found else ""
    if behind.startswith("="):
        why = "its quotes do not match, or something stands behind them"
    elif behind.startswith(":"):
        why = f"this is YAML; write {name}=value"
    else:
        why = f"it has no value; write {name or 'NAME'}=value"
    return ConfigError(f"{where}: {why}", field=name or path.name)
