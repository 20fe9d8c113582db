"""Graders `json-schema`, `json-equal` and `tool-call`: values that are checked, not read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue

from app.domain.grading.json_value import json_values, same
from app.domain.grading.result import Expectation, Grade, graded
from app.domain.grading.schema import problems, unknown_keywords
from app.domain.grading.text import named

#: problems that are spelt out
SHOWN = 4
#: what the name of the right tool is worth; the rest is for its arguments
NAME_SHARE = 0.3


def _is_schema(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if unknown := unknown_keywords(schema):
        raise ValueError(f"not understood: {named(unknown)}")
    return schema


JsonSchema = Annotated[dict[str, JsonValue], AfterValidator(_is_schema)]


class Schema(Expectation):
    """Any value that fits a JSON Schema."""

    value: JsonSchema = Field(alias="schema")


class Equal(Expectation):
    """A JSON value; `weights` by path, `*` for any index or name (`items.*.price`), 0 to leave a value out."""

    value: JsonValue
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(default_factory=dict)
    #: whether one wrong value makes the whole wrong
    strict: bool = False


class ToolCall(Expectation):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    #: arguments and their values; those that are not named may be anything the schema allows
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    parameters: JsonSchema = Field(default_factory=dict)
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


def schema(expected: Schema, _prompt_text: str, answer: str) -> Grade:
    values, mended = json_values(answer)
    if not values:
        return graded(0, ["no JSON that can be read"])
    if mended:
        return graded(0, ["is not valid JSON as it stands"])
    wrong = list(islice(problems(expected.value, values[0]), SHOWN))
    return graded(not wrong, wrong or ["fits the schema"])


def equal(expected: Equal, _prompt_text: str, answer: str) -> Grade:
    """The weighted share of the leaves that are right, of all that are wanted or given."""
    values, mended = json_values(answer)
    if not values or mended:
        return graded(0, ["is not valid JSON as it stands" if mended else "no JSON that can be read"])
    want, got = dict(_leaves(expected.value)), dict(_leaves(values[0]))
    weights = {path: _weight(path, expected.weights) for path in {**want, **got}}
    wrong = [path for path in weights if weights[path] and not _right(path, want, got, expected.tolerance)]
    total = sum(weights.values())
    score = 1 - sum(weights[path] for path in wrong) / total if total else 1.0
    reasons = [f"{len(weights) - len(wrong)} of {len(weights)} values right"]
    if wrong:
        reasons.append(f"wrong, missing or not asked for: {named('.'.join(path) or 'the value' for path in wrong)}")
    return graded(0 if wrong and expected.strict else score, reasons)


def tool_call(expected: ToolCall, _prompt_text: str, answer: str) -> Grade:
    """The first call of the answer: {"name": …, "arguments": {…}}, as OpenAI and Anthropic write it too."""
    call = next(filter(None, map(_call, json_values(answer)[0])), None)
    if call is None:
        return graded(0, ["no tool is called"])
    name, arguments = call
    if name != expected.name:
        return graded(0, [f"calls {name[:80]!r}, not {expected.name!r}"])
    if not isinstance(arguments, dict):
        return graded(0, ["the arguments do not parse"])
    wrong = [f"{key} is {json.dumps(arguments.get(key))[:60]}" for key in _differing(expected, arguments)]
    misfits = list(islice(problems(expected.parameters, arguments), SHOWN))
    right = 1 - len(wrong) / len(expected.arguments) if expected.arguments else 1.0
    score = 0 if misfits else NAME_SHARE * (right > 0) + (1 - NAME_SHARE) * right
    return graded(score, [f"calls {name!r}", *wrong[:SHOWN], *misfits])


def _differing(expected: ToolCall, arguments: dict[str, Any]) -> list[str]:
    return [
        key
        for key, value in expected.arguments.items()
        if key not in arguments or not same(value, arguments[key], expected.tolerance)
    ]


def _call(value: Any) -> tuple[str, Any] | None:
    """(name, arguments) of a call in any of the usual shapes; arguments that are text are read as JSON."""
    if isinstance(value, list):
        return next(filter(None, map(_call, value[:5])), None)
    if not isinstance(value, dict):
        return None
    if isinstance(inner := value.get("function") or value.get("tool_calls") or value.get("tool_call"), dict | list):
        return _call(inner)
    name = value.get("name") or value.get("tool")
    if not isinstance(name, str):
        return None
    arguments: Any = next((value[key] for key in ("arguments", "input", "parameters", "args") if key in value), {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = None
    return name, arguments


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves(child, (*path, name))
    elif isinstance(value, list) and value:
        for place, child in enumerate(value):
            yield from _leaves(child, (*path, str(place)))
    else:
        yield path, value


def _right(path: tuple[str, ...], want: dict[Any, Any], got: dict[Any, Any], tolerance: float) -> bool:
    return path in want and path in got and same(want[path], got[path], tolerance)


def _weight(path: tuple[str, ...], weights: dict[str, float]) -> float:
    """Of the first pattern that fits the path or a part it begins with."""
    for pattern, weight in weights.items():
        pieces = pattern.split(".")
        if len(pieces) <= len(path) and all(piece in ("*", part) for piece, part in zip(pieces, path, strict=False)):
            return weight
    return 1.0
