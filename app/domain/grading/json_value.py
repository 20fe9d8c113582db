"""Grader `json`: a JSON value, wherever it stands in the answer, compared with the expected one leaf by leaf."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from app.domain.grading.result import Expectation, Grade, graded, weighed
from app.domain.grading.text import fenced_blocks, named

#: off the grade for as many values that nobody asked for as there are wanted ones
UNASKED_COST = 1.5
#: nesting from which on text is not the JSON of anybody's schema
MAX_DEPTH = 60
#: an answer in which the value has to be looked for among more candidates than this gives none
MAX_CANDIDATES = 20
#: credit of a leaf that has the right value in the wrong type, such as "10" for 10
WRONG_TYPE = 0.5
#: share of the longest value's length from which on another value is a second answer, not an example
SECOND = 0.5
#: what remains of the score where …
REPAIRED = 0.7  # … commas, quotes or literals had to be mended before it could be read
WRAPPED = 0.9  # … the value is wrapped in an object that nobody asked for
HARD_WRONG = 0.6  # … every value of more than common weight is wrong, in elements that are there
UNTYPED = 0.8  # … most values that are no texts have become texts
LINES = 0.9  # … the elements stand in lines of their own, not in an array
UNORDERED = 0.9  # … the elements are not in the order asked for

Path = tuple[str | int, ...]


def _is_json(text: str) -> str:
    json.loads(text)
    return text


class Expected(Expectation):
    #: JSON text; its keys and types are the schema
    value: Annotated[str, AfterValidator(_is_json)]
    #: property by which the elements of the outermost array are told apart; none: by their position
    key: str | None = None
    #: largest difference between equal numbers
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    #: how much a value counts, by the name of its property; 1 for the others
    weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(default_factory=dict)


def grade(expected: Expected, _prompt_text: str, answer: str) -> Grade:
    wanted = json.loads(expected.value)
    values, repaired = json_values(answer)
    if not values:
        return graded(0, ["no JSON that can be read"])
    in_lines = isinstance(wanted, list) and len(values) > 1 and all(isinstance(each, dict) for each in values)
    if in_lines:
        values = [_in_reading_order(answer, values)]
    value, wrapped = _unwrapped(values[0], wanted)
    score, reasons = _compared(wanted, value, expected)
    faults = [
        (REPAIRED if repaired else 1.0, "is not valid JSON as it stands"),
        (LINES if in_lines else 1.0, "is a row of values, not an array"),
        (_hardness(wanted, value, expected), "the values that are hard to get are wrong"),
        (_modesty(wanted, value, expected.key), "holds much that nobody asked for"),
        (UNTYPED if _is_untyped(wanted, value, expected.key) else 1.0, "most values are of the wrong type"),
        (WRAPPED if wrapped else 1.0, "is wrapped in an object nobody asked for"),
        (1.0 if _in_order(wanted, value, expected.key) else UNORDERED, "elements are not in the order asked for"),
        (1 / len(values), f"{len(values)} values to choose from"),
    ]
    return weighed(score, reasons, faults)


def same(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    """Equality of JSON values: true is not 1, 5 is 5.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if _is_number(one) and _is_number(other):
        return bool(one == other) or _apart(one, other) <= tolerance + 1e-9
    return type(one) is type(other) and bool(one == other)


def _apart(one: float, other: float) -> float:
    """Infinite for what no float holds, such as a whole number of 400 digits."""
    try:
        return abs(one - other)
    except OverflowError:
        return math.inf


def _compared(wanted: Any, value: Any, expected: Expected) -> tuple[float, list[str]]:
    """F1 over leaves: of those that are wanted, how many are there; of those that are there, how many are wanted."""
    want, got = dict(_leaves(wanted, expected.key)), dict(_leaves(value, expected.key))
    marks = {path: _credit(want[path], got[path], expected.tolerance) for path in want if path in got}
    heavy = {path: _weight(path, expected.weights) for path in {*want, *got}}
    total = sum(mark * heavy[path] for path, mark in marks.items())
    most = sum(heavy[path] for path in want) + sum(heavy[path] for path in got)
    missing = [_shown(path) for path in want if path not in got]
    extra = [_shown(path) for path in got if path not in want]
    wrong = [f"{_shown(path)} is {json.dumps(got[path])[:40]}" for path, mark in marks.items() if mark < 1]
    reasons = [f"{sum(mark == 1 for mark in marks.values())} of {len(want)} values right"]
    reasons += [f"{name}: {named(paths)}" for name, paths in _labelled(wrong, missing, extra) if paths]
    return 2 * total / most if most else 1.0, reasons


def _weight(path: Path, weights: dict[str, float]) -> float:
    """By the last name of the path: an element of an array has the weight of the array."""
    names = [part for part in path if isinstance(part, str)]
    return weights.get(names[-1], 1.0) if names else 1.0


def _hardness(wanted: Any, value: Any, expected: Expected) -> float:
    """HARD_WRONG to 1, by the share of the heavy values that are right."""
    want, got = dict(_leaves(wanted, expected.key)), dict(_leaves(value, expected.key))
    there = {path[:-1] for path in got}
    hard = [path for path in want if _weight(path, expected.weights) > 1 and path[:-1] in there]
    right = sum(path in got and same(want[path], got[path], expected.tolerance) for path in hard)
    return HARD_WRONG + (1 - HARD_WRONG) * right / len(hard) if hard else 1.0


def _is_untyped(wanted: Any, value: Any, key: str | None) -> bool:
    want, got = dict(_leaves(wanted, key)), dict(_leaves(value, key))
    typed = [path for path, leaf in want.items() if path in got and not isinstance(leaf, str)]
    wrong = sum(isinstance(got[path], str) for path in typed)
    return wrong >= 3 and 2 * wrong > len(typed)


def _modesty(wanted: Any, value: Any, key: str | None) -> float:
    want, got = dict(_leaves(wanted, key)), dict(_leaves(value, key))
    unasked = sum(path not in want for path in got)
    return max(0.0, 1 - UNASKED_COST * max(0, unasked - 1) / max(len(want), 1))


def _in_reading_order(answer: str, values: list[Any]) -> list[Any]:
    """Values are found longest first; lines are read from the top."""
    texts = list(dict.fromkeys(_texts(answer)))
    parsed = [value for text in texts for value in [*_parsed(text)] or [*_parsed(_mended(text))]]
    return [value for value in parsed if value in values]


def _labelled(wrong: list[str], missing: list[str], extra: list[str]) -> tuple[tuple[str, list[str]], ...]:
    return ("wrong", wrong), ("missing", missing), ("not asked for", extra)


def _credit(want: Any, got: Any, tolerance: float) -> float:
    if same(want, got, tolerance):
        return 1.0
    if isinstance(want, str) and isinstance(got, str):
        return 1.0 if want.split() == got.split() else 0.0
    return WRONG_TYPE if type(want) is not type(got) and _spelt(want) == _spelt(got) else 0.0


def _spelt(value: Any) -> str:
    """The value as one would write it, to see `"10"` for 10 and `"null"` for null."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return (value if isinstance(value, str) else json.dumps(value)).strip().casefold()


def _leaves(value: Any, key: str | None, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(path, leaf); an empty object or array is a leaf. Elements that have `key` are named by it."""
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves(child, None, (*path, name))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            name = _name(child, key)
            yield from _leaves(child, None, (*path, index if name is None else f"{key}={name}"))
    else:
        yield path, value


def _name(element: Any, key: str | None) -> str | None:
    return _spelt(element[key]) if key is not None and isinstance(element, dict) and key in element else None


def _in_order(wanted: Any, value: Any, key: str | None) -> bool:
    """Whether the elements that both have stand in the same order."""
    if key is None or not isinstance(wanted, list) or not isinstance(value, list):
        return True
    order = [_name(element, key) for element in wanted]
    found = [order.index(name) for element in value if (name := _name(element, key)) in order]
    return found == sorted(found)


def _unwrapped(value: Any, wanted: Any) -> tuple[Any, bool]:
    """The value inside {"orders": …}, where the wanted one is no such object."""
    if isinstance(value, dict) and len(value) == 1:
        (inner,) = value.values()
        if type(inner) is type(wanted) and not (isinstance(wanted, dict) and value.keys() <= wanted.keys()):
            return inner, True
    return value, False


def json_values(answer: str) -> tuple[list[Any], bool]:
    """The longest JSON value of the answer and those of comparable length, and whether they had to be mended."""
    texts = sorted(_texts(answer), key=len, reverse=True)
    for repaired in (False, True):
        read = [(len(text), value) for text in texts for value in _parsed(_mended(text) if repaired else text)]
        if read:
            return [value for length, value in read if length >= SECOND * read[0][0]], repaired
    return [], False


def _texts(answer: str) -> list[str]:
    """Where a reader looks for the value: in fenced blocks, else in the brackets of the text, else in all of it."""
    fenced = [body for language, body in fenced_blocks(answer) if language in {"", "json", "json5", "jsonc"}]
    found = [span for body in fenced or [answer] for span in _spans(body)]
    return found[:MAX_CANDIDATES] or [answer[:1000]]


def _spans(text: str) -> list[str]:
    """The outermost {…} and […]; one that is never closed ends with the text."""
    spans: list[str] = []
    depth, start, quoted, escaped = 0, 0, False, False
    for index, char in enumerate(text):
        if quoted:
            quoted, escaped = escaped or char != '"', not escaped and char == "\\"
        elif char == '"' and depth:
            quoted = True
        elif char in "{[":
            start = start if depth else index
            depth += 1
            if depth > MAX_DEPTH:
                return spans
        elif char in "}]" and depth:
            depth -= 1
            if not depth:
                spans.append(text[start : index + 1])
    return [*spans, text[start:]] if depth else spans


def _parsed(text: str) -> Iterator[Any]:
    try:
        yield json.loads(text.strip(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _mended(text: str) -> str:
    """Trailing commas dropped, curly quotes and Python's literals replaced, comments at line ends removed."""
    text = text.translate(str.maketrans("“”„‘’", '"""\'\''))
    text = re.sub(r"(?m)(?:^|(?<=[\s,{\[]))//[^\n]*$", "", text)
    text = re.sub(r",(?=\s{0,200}[}\]])", "", text)
    if '"' not in text:
        text = text.replace("'", '"')
    return re.sub(r"\b(?:True|False|None)\b", lambda found: _LITERALS[found[0]], text)


_LITERALS = {"True": "true", "False": "false", "None": "null"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(path: Path) -> str:
    return ".".join(str(part) for part in path)[:60] or "the value"
