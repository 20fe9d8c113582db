"""Grader `json`: found in the answer, parsed, and compared leaf by leaf."""

import dataclasses
import json

import pytest

from app.domain.grading import grade
from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "json-transform"
ORDERS = json.loads(PERFECT[P])


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(f"```json\n{json.dumps(ORDERS, indent=2)}\n```", 1, 1, id="fenced, escaped accents"),
        pytest.param(f"Here is the JSON:\n{PERFECT[P]}\nI sorted it by id [ascending].", 1, 1, id="chatty"),
        pytest.param(f"```\n{PERFECT[P]}", 1, 1, id="fence not closed"),
        pytest.param(json.dumps({"orders": ORDERS}), 0.85, 0.95, id="wrapped"),
        pytest.param(json.dumps(ORDERS[::-1]), 0.85, 0.95, id="not sorted"),
        pytest.param(PERFECT[P].replace("}]", "},]"), 0.65, 0.75, id="trailing commas"),
        pytest.param(PERFECT[P].replace("null", "None").replace("false", "False"), 0.65, 0.75, id="Python literals"),
        # partly right
        pytest.param(json.dumps(ORDERS[:2]), 0.7, 0.85, id="one order missing"),
        pytest.param(PERFECT[P].replace("70.16", "87.7").replace("51.57", "57.3"), 0.55, 0.6, id="totals wrong"),
        pytest.param(PERFECT[P].replace("24.9", '"24.9"').replace("10,", '"10",'), 0.85, 0.98, id="numbers as text"),
        pytest.param(PERFECT[P][: len(PERFECT[P]) // 2], 0, 0, id="cut off"),
        # wrong
        pytest.param("[]", 0, 0, id="an empty array"),
        pytest.param(
            json.dumps([{"id": None, "customer": None, "date": None, "express": None, "items": [], "total": None}]),
            0,
            0.1,
            id="nulls",
        ),
        pytest.param('{"error": "cannot do that"}', 0, 0, id="another object"),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param(
            json.dumps(
                [
                    "id",
                    "customer",
                    "date",
                    "express",
                    "discountPercent",
                    "items",
                    "sku",
                    "quantity",
                    "total",
                    1039,
                    1041,
                ]
            ),
            0,
            0.05,
            id="keyword stuffing",
        ),
        pytest.param("\n".join([PERFECT[P]] * 50), 0, 0.1, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_json_is_compared_by_schema_and_value(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)


@pytest.mark.parametrize(
    ("value", "answer", "score"),
    [
        # true is not 1, but 5 is 5.0
        ("[true, 5]", "[1, 5.0]", 0.5),
        ("[true, 5]", "[true, 5.0]", 1),
        # the right value in the wrong type is half right
        ("[10, 20]", '["10", "20"]', 0.5),
        # an expected empty value is a value
        ('{"a": [], "b": {}}', '{"a": [], "b": {}}', 1),
        ('{"a": [], "b": {}}', '{"a": [1], "b": {}}', 0.5),
        # a scalar answer is read too
        ("42", "42", 1),
        ('"yes"', '"yes"', 1),
        # not JSON, and not to be taken for it
        ("[1]", "[NaN]", 0),
        ("[1]", "[" * 100_000, 0),
        ("[1]", "[" * 900 + "1" + "]" * 900, 0),
        ("[1]", "[" + "9" * 5_000 + "]", 0),
        ("[1]", '{"a":' * 100_000, 0),
    ],
)
def test_json_values_of_every_kind_are_compared(value: str, answer: str, score: float) -> None:
    prompt = dataclasses.replace(PROMPTS[P], expected={"value": value})
    assert grade(prompt, answer).score == pytest.approx(score, abs=0.01)
