"""app/api/answers.json: what a running server answered to each GET, and of what types that is, for /openapi.json.

`make answers` records it anew (by tests/api/test_answers.py, which also holds it to what is answered today).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from tests.support.system import ROOT

FILE = ROOT / "app" / "api" / "answers.json"
#: characters of a text, and items of a list, in an example
TEXT, ITEMS = 300, 1


def schema_of(value: Any, names: Collection[str]) -> dict[str, Any]:
    """Of what types it is. `names`: keys that are names of something, such as a provider's, and no names of fields."""
    if isinstance(value, Mapping):
        inner = {str(key): schema_of(each, names) for key, each in value.items()}
        if inner and all(key in names for key in inner):
            return {"type": "object", "additionalProperties": reduce(merged, inner.values())}
        return {"type": "object", "properties": inner}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"type": "array", "items": reduce(merged, (schema_of(each, names) for each in value), {})}
    if value is None:
        return {"type": "null"}
    return {"type": "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What holds for both values; what one of them lacks the other says."""
    if not one or not other:
        return dict(one or other)
    kinds = _kinds(one) | _kinds(other)
    both = (
        {**one, **other} if _kinds(one) & _kinds(other) - {"null"} else dict(other if _kinds(one) == {"null"} else one)
    )
    for part in ("items", "additionalProperties"):
        if part in one and part in other:
            both[part] = merged(one[part], other[part])
    mine, its = one.get("properties", {}), other.get("properties", {})
    if mine or its:
        both["properties"] = {key: merged(mine.get(key, {}), its.get(key, {})) for key in {**mine, **its}}
    if "additionalProperties" in both:  # the other one was empty
        both.pop("properties", None)
    both["type"] = sorted(kinds) if len(kinds) > 1 else next(iter(kinds))
    return both


def told(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing is said of what was null wherever it was seen: what else stands there nobody has seen."""
    if schema.get("type") == "null":
        return {}
    inner = {part: told(schema[part]) for part in ("items", "additionalProperties") if part in schema}
    if "properties" in schema:
        inner["properties"] = {key: told(each) for key, each in schema["properties"].items()}
    return {**schema, **inner}


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema["type"]
    return {kind} if isinstance(kind, str) else set(kind)


def example_of(value: Any) -> Any:
    """The answer, with the first of many and the beginning of what is long."""
    if isinstance(value, Mapping):
        return {key: example_of(each) for key, each in value.items()}
    if isinstance(value, list):
        return [example_of(each) for each in value[:ITEMS]]
    return f"{value[:TEXT]}…" if isinstance(value, str) and len(value) > TEXT else value


def outdated(kept: Mapping[str, Any], now: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """Where what is answered now is not as what is kept; either may know nothing of a value."""
    if not kept or not now:
        return
    if not (_kinds(kept) & _kinds(now)):
        yield from () if _kinds(now) == {"null"} else (f"{at}: {kept['type']}, now {now['type']}",)
    elif "items" in kept and "items" in now:
        yield from outdated(kept["items"], now["items"], f"{at}[]")
    elif "additionalProperties" in kept and "additionalProperties" in now:
        yield from outdated(kept["additionalProperties"], now["additionalProperties"], f"{at}.*")
    elif kept.get("properties") and now.get("properties"):
        mine, its = kept["properties"], now["properties"]
        yield from (f"{at}.{key} is kept, and not answered" for key in mine.keys() - its.keys())
        yield from (f"{at}.{key} is answered, and not kept" for key in its.keys() - mine.keys())
        for key in mine.keys() & its.keys():
            yield from outdated(mine[key], its[key], f"{at}.{key}")


def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def write(answers: Mapping[str, Any]) -> None:
    """A line for each endpoint, so that a change is seen where it is."""
    lines = (f"{json.dumps(name)}: {json.dumps(answers[name], ensure_ascii=False)}" for name in sorted(answers))
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
