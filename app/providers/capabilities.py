"""The capability matrix: what a model can is read off capabilities.toml and its provider's block, and nowhere else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from app.domain.catalog import Provider, WireFormat
from app.domain.targets.capabilities import Capabilities, checked

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")


@dataclass(frozen=True, slots=True)
class Rule:
    format: WireFormat
    #: found in the name; None: in any
    model: re.Pattern[str] | None
    #: the first version it holds of
    since: tuple[int, int] | None
    #: found in the host of the base URL; None: anywhere
    host: re.Pattern[str] | None
    values: Mapping[str, Any]

    def holds(self, wire: WireFormat, model: str, host: str) -> bool:
        if self.host is not None and not self.host.search(host):
            return False
        if wire is not self.format or (self.model is not None and not self.model.search(model)):
            return False
        return self.since is None or version(model) >= self.since


def version(model: str) -> tuple[int, int]:
    """Of Claude; a name without one is taken for the oldest."""
    found = _VERSION.search(model)
    return (0, 0) if found is None else (int(found[1]), int(found[2] or 0))


@cache
def matrix() -> tuple[Rule, ...]:
    document = tomllib.loads(files("app.providers").joinpath("capabilities.toml").read_text(encoding="utf-8"))
    return tuple(_rules(document["rule"]))


def _rules(written: list[dict[str, Any]]) -> Iterator[Rule]:
    for each in written:
        values = dict(each)
        pattern, host, since = values.pop("model", None), values.pop("host", None), values.pop("from", None)
        wire = WireFormat(values.pop("format"))
        first = None if since is None else tuple(map(int, since.split(".")))
        known = checked(values)
        yield Rule(
            wire,
            None if pattern is None else re.compile(pattern),
            None if first is None else (first[0], first[1]),
            None if host is None else re.compile(host),
            {name: getattr(known, name) for name in values},
        )


@lru_cache(maxsize=4096)
def by_format(wire: WireFormat, model: str, host: str = "") -> Capabilities:
    """As the matrix says it; the last rule that holds decides."""
    values: dict[str, Any] = {}
    for rule in matrix():
        if rule.holds(wire, model, host):
            values |= rule.values
    return Capabilities(**values)


def of(provider: Provider, model: str, wire: WireFormat | None = None) -> Capabilities:
    """As the matrix says it, and the provider's block over it."""
    return _over(wire or provider.format, model, provider.base_url, provider.capabilities_of(model))


@lru_cache(maxsize=4096)
def _over(wire: WireFormat, model: str, base_url: str, said: tuple[tuple[str, Any], ...]) -> Capabilities:
    values = dict(said)
    if wire is WireFormat.OPENAI and values.get("json_schema") == "tool":
        values.setdefault("json_schema_beside_tools", "none")  # a tool that has to be called stands beside no other
    return replace(by_format(wire, model, urlsplit(base_url).hostname or ""), **values)


def table() -> str:
    """The matrix in Markdown: per format its default, then what each rule changes of it."""
    lines = ["| format | models | what they can |", "|---|---|---|"]
    for rule in matrix():
        since = "" if rule.since is None else f"from Claude {rule.since[0]}.{rule.since[1]}"
        models = since or ("all" if rule.model is None else f"`{rule.model.pattern}`")
        models += "" if rule.host is None else f" at `{rule.host.pattern}`"
        said = "; ".join(f"{name} {_shown(value)}" for name, value in rule.values.items())
        lines.append(f"| {rule.format} | {models.replace('|', chr(92) + '|')} | {said} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (" ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
