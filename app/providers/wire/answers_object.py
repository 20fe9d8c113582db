"""Can nothing but an object fit a JSON schema? Read in one pass: the work is that of reading the schema."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
#: a schema by its id, or the alternatives of one
_Node = tuple[int, str]


def is_of_objects(root: Schema) -> bool:
    """Does an object fit it, and nothing else? A schema that says nothing of its kind counts as one of objects.

    Each part is looked at once, however often and from wherever it is named. One that only leads back to itself
    ({"$ref": "#"}, {"anyOf": [{"$ref": "#"}]}) is fitted by nothing.
    """
    needs: dict[_Node, list[_Node]] = {}
    waiting: list[object] = [root]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping):
            return False
        if (id(part), "") in needs:
            continue
        if not _says_object(part):
            return False
        found = list(_parts(part, root))
        needs[id(part), ""] = [node for node, _ in found]
        for node, parts in found:
            needs[node] = [(id(each), "") for each in parts]
            waiting += parts
    return len(_fitted(needs)) == len(needs)


def _says_object(part: Schema) -> bool:
    """By itself, whatever its parts say."""
    for given in ("enum", "const"):
        if part.get(given) is not None:
            values = part[given] if given == "enum" else [part[given]]
            return isinstance(values, list) and all(isinstance(value, dict) for value in values)
    if "const" in part:
        return False
    kinds = part.get("type") or "object"
    return (kinds if isinstance(kinds, list) else [kinds]) == ["object"]


def _parts(part: Schema, root: Schema) -> Iterator[tuple[_Node, list[object]]]:
    """What else says of which kind the value is: (node, schemas); for `allOf` one node for each."""
    if part.get("enum") is not None or part.get("const") is not None:
        return
    if "$ref" in part:
        yield (id(part), "$ref"), [named(part["$ref"], root)]
        return
    for several in ("anyOf", "oneOf"):
        if alternatives := part.get(several):
            yield (id(part), several), alternatives if isinstance(alternatives, list) else [None]
    every = part.get("allOf") or []
    for place, each in enumerate(every if isinstance(every, list) else [None]):
        yield (id(part), f"allOf.{place}"), [each]


def _fitted(needs: Mapping[_Node, list[_Node]]) -> set[_Node]:
    """What something fits: a schema all of whose parts are fitted, and alternatives of which one is.

    From the leaves up: each need is looked at once.
    """
    wanted_by: dict[_Node, list[_Node]] = defaultdict(list)
    open_needs: dict[_Node, int] = {}
    for node, wanted in needs.items():
        open_needs[node] = len(wanted) if node[1] == "" else min(1, len(wanted))
        for each in wanted:
            wanted_by[each].append(node)
    ready = [node for node, count in open_needs.items() if count == 0]
    fitted = set(ready)
    while ready:
        for node in wanted_by[ready.pop()]:
            open_needs[node] -= 1
            if open_needs[node] <= 0 and node not in fitted:
                fitted.add(node)
                ready.append(node)
    return fitted


def named(reference: object, root: Schema) -> Schema | None:
    """What a local $ref ("#/$defs/x") points at; None: nothing that could be a schema."""
    if not isinstance(reference, str):
        return None
    found: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None
