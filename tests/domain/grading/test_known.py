"""The graders that everybody knows: right answers, wrong ones, and right ones in an unusual form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import Prompt, TaskType
from app.domain.grading import check, grade
from app.domain.grading.explanation import WORDS_EACH
from app.errors import ConfigError, LocalFailure

ADDRESS = {
    "type": "object",
    "required": ["city", "zip"],
    "additionalProperties": False,
    "properties": {"city": {"type": "string", "minLength": 1}, "zip": {"type": "integer", "minimum": 10000}},
}
ORDER = {"id": 7, "items": [{"sku": "A", "price": 2.5}], "note": "x"}
#: arguments as OpenAI writes them: JSON in a text
AS_TEXT = json.dumps('{"city": "Rome", "nights": 2}')
REFUND = {
    "max_words": 60,
    "words_each": 2,
    "concepts": [
        {"name": "no", "needs": ["no | not | cannot | can't"]},
        {
            "name": "hygiene articles",
            "needs": ["hygien* | personal care", "exclu* | except* | exempt*"],
            "weight": 2,
        },
    ],
}


def case(grader: str, /, **expected: Any) -> Prompt:
    return Prompt("case", "mine", TaskType.DEFAULT, "What is it?", 100, grader, expected)


def score(grader: str, text: str, /, **expected: Any) -> float:
    check(case(grader, **expected))
    return grade(case(grader, **expected), text).score


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Refund", 1),
        ("refund.", 1),
        ('"refund"', 1),
        ("**Answer:** refund", 1),
        ('{"reasoning": "they ask for money", "answer": "refund"}', 1),
        ("```\nrefund\n```", 1),
        ("<think>exchange?</think>refund", 1),
        ("money   back", 1),
        ("refund and exchange", 0),
        ("not a refund", 0),
        ("exchange", 0),
        ("I'd say they want a refund", 0),
    ],
)
def test_one_of_wants_the_final_answer_whole(answer: str, right: float) -> None:
    assert score("one-of", answer, values=["refund", "money back"]) == right


def test_capitals_count_where_the_case_says_so() -> None:
    assert score("one-of", "PARIS", values=["Paris"], case=True) == 0
    assert score("one-of", "Paris", values=["Paris"], case=True) == 1


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Your order 4711 ships on Monday.", 1),
        ("ORDER 4711: it leaves us on Tuesday", 1),
        ("Order 4711 is on its way.", 0.6667),
        ("It ships on Monday.", 0.3333),
        ("Order 4711 ships on Monday, I guarantee.", 0),
        ("No idea.", 0),
    ],
)
def test_contains_counts_what_is_there(answer: str, right: float) -> None:
    expected = {"all": ["order", "4711"], "any": ["Monday", "Tuesday"], "none": ["guarantee"]}
    assert score("contains", answer, **expected) == pytest.approx(right, abs=0.001)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("billing", 1),
        ("Label: billing", 1),
        ("This is billing, not shipping.", 1),
        ("I would file this under **billing**.", 1),
        ("Shipping? No, billing.", 1),
        ("shipping", 0),
        ("billing or shipping", 0.25),
        ("Not billing.", 0),
        ("Billing – wait, actually shipping.", 0),
        ("something else", 0),
        ("billing dispute", 0),
    ],
)
def test_a_label_is_what_the_answer_commits_itself_to(answer: str, right: float) -> None:
    assert score("label", answer, label="billing", labels=["billing", "shipping", "billing dispute"]) == right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("No", 1),
        ("no.", 1),
        ("**No**, hygiene articles are excluded.", 1),
        ("The answer is no, since they are exempt.", 1),
        ("Nein, das geht nicht.", 1),
        ("Yes", 0),
        ("Yes, they may not only return it but also keep it.", 0),
        ("Yes and no.", 0),
        ("It depends.", 0),
        ("Nobody knows.", 0),
    ],
)
def test_yes_and_no_are_read_off_the_beginning(answer: str, right: float) -> None:
    assert score("yes-no", answer, answer="no") == right


@pytest.mark.parametrize(
    ("answer", "right", "whole"),
    [
        ("The id is AB-1234.", 1, False),
        ("the id is ab-1234", 1, False),
        ("AB-1234", 1, True),
        ("Answer: `AB-1234`", 1, True),
        ("It is AB-1234", 0, True),
        ("AB-123", 0, False),
    ],
)
def test_a_pattern_is_looked_for(answer: str, right: float, whole: bool) -> None:
    assert score("regex", answer, pattern=r"\b[A-Z]{2}-\d{4}\b", whole=whole) == right


def test_a_pattern_that_never_ends_is_no_fault_of_the_answer() -> None:
    with pytest.raises(LocalFailure, match="takes too long: make it simpler"):
        grade(case("regex", pattern="(a+)+$"), "a" * 50 + "b")


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("1,234.50 including 19% VAT of 197.10", 1),
        ("$1{,}234.50$", 1),
        ("1.234,50 €", 1),
        ("Total: 1234.5", 1),
        ("1240", 1),
        ("1300", 0),
        ("one thousand two hundred thirty-four point five", 1),
    ],
)
def test_a_number_may_be_off_by_a_share(answer: str, right: float) -> None:
    assert score("numeric", answer, value=1234.5, relative_tolerance=0.01) == right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('{"city": "Bonn", "zip": 53111}', 1),
        ('Here you are:\n```json\n{"city": "Bonn", "zip": 53111}\n```', 1),
        ('{"city": "Bonn"}', 0),
        ('{"city": "Bonn", "zip": "53111"}', 0),
        ('{"city": "", "zip": 53111}', 0),
        ('{"city": "Bonn", "zip": 53111, "street": "x"}', 0),
        ('{"city": "Bonn", "zip": 53111,}', 0),
        ("Bonn, 53111", 0),
    ],
)
def test_json_fits_its_schema_or_does_not(answer: str, right: float) -> None:
    assert score("json-schema", answer, schema=ADDRESS) == right


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "number"}}}, "[1, 2.5]", '[1, "2"]'),
        ({"items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "[null]", "[3]"),
        ({"type": "object", "properties": {"a": {"enum": ["x", 1]}}}, '{"a": 1}', '{"a": true}'),
        ({"type": "array", "minItems": 1, "maxItems": 2}, "[0]", "[]"),
        ({"type": "object", "not": {"required": ["a"]}}, '{"b": 1}', '{"a": 1}'),
        ({"oneOf": [{"type": "array"}, {"type": "array", "maxItems": 1}]}, "[1, 2]", "[1]"),
    ],
)
def test_the_keywords_of_schemas_are_understood(schema: dict[str, Any], right: str, wrong: str) -> None:
    assert score("json-schema", right, schema=schema) == 1
    assert score("json-schema", wrong, schema=schema) == 0


def test_a_keyword_that_is_not_understood_is_refused_by_its_path() -> None:
    with pytest.raises(ConfigError, match=r"not understood: schema\.properties\.a\.pattern"):
        check(case("json-schema", schema={"properties": {"a": {"pattern": "x"}}}))


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('{"id": 7, "items": [{"sku": "A", "price": 2.5}], "note": "y"}', 1),
        ('```json\n{"note": "", "items": [{"price": 2.50, "sku": "A"}], "id": 7.0}\n```', 1),
        ('{"id": 8, "items": [{"sku": "A", "price": 2.5}]}', 0.8333),
        ('{"id": 7, "items": [{"sku": "A", "price": 9}]}', 0.3333),
        ('{"id": 7, "items": [{"sku": "A", "price": 2.5}], "more": 1}', 0.8571),
        ("{}", 0),
        ("none", 0),
    ],
)
def test_json_is_equal_by_weighted_paths(answer: str, right: float) -> None:
    weights = {"items.*.price": 4, "note": 0}
    assert score("json-equal", answer, value=ORDER, weights=weights) == pytest.approx(right, abs=0.001)


def test_strict_json_is_right_or_wrong() -> None:
    assert score("json-equal", '{"id": 7}', value={"id": 7, "a": 1}, strict=True) == 0


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('{"name": "book", "arguments": {"city": "Rome", "nights": 2}}', 1),
        ('{"tool_calls": [{"function": {"name": "book", "arguments": ' + AS_TEXT + "}}]}", 1),
        ('{"type": "tool_use", "name": "book", "input": {"city": "Rome", "nights": 2}}', 1),
        ('{"name": "book", "arguments": {"city": "Rome", "nights": 3}}', 0.65),
        ('{"name": "book", "arguments": {"city": "Rome", "nights": "2"}}', 0),
        ('{"name": "cancel", "arguments": {"city": "Rome", "nights": 2}}', 0),
        ('{"name": "book", "arguments": "{city: Rome"}', 0),
        ("I will book a room in Rome for 2 nights.", 0),
    ],
)
def test_a_tool_call_has_name_arguments_and_schema(answer: str, right: float) -> None:
    expected = {
        "name": "book",
        "arguments": {"city": "Rome", "nights": 2},
        "parameters": {"type": "object", "properties": {"nights": {"type": "integer"}}},
    }
    assert score("tool-call", answer, **expected) == pytest.approx(right, abs=0.001)


def test_similarity_is_of_words_and_falls_with_what_is_different() -> None:
    reference = "The parcel was handed to the neighbour on Monday at noon."
    expected = {"references": [reference], "full": 0.9, "none": 0.2}
    assert score("similarity", reference, **expected) == 1
    assert score("similarity", "On Monday at noon the neighbour was handed the parcel.", **expected) == 1
    assert 0.3 < score("similarity", "The neighbour has got the parcel.", **expected) < 0.9
    assert score("similarity", "We are sorry for the delay of your train.", **expected) == 0


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("No. Hygiene articles are excluded from returns.", 1),
        ("No: used hygiene articles are excluded.", 1),
        ("No, hygiene items are exempt from the right of return.", 1),
        ("Yes, hygiene articles are not excluded from returns, and the customer may send everything back.", 0.3333),
    ],
)
def test_a_short_answer_may_be_a_good_explanation(answer: str, right: float) -> None:
    assert REFUND["words_each"] != WORDS_EACH
    assert score("explanation", answer, **REFUND) == pytest.approx(right, abs=0.001)


@pytest.mark.parametrize(
    ("grader", "expected", "says"),
    [
        ("one-of", {"values": []}, "expected.values: .*at least 1 item"),
        ("contains", {}, "give all, any or none"),
        ("label", {"label": "a", "labels": ["b"]}, "label 'a' is none of labels"),
        ("yes-no", {"answer": "maybe"}, "expected.answer: Input should be 'yes' or 'no'"),
        ("regex", {"pattern": "("}, "is no regular expression"),
        ("json-schema", {"schema": {"type": "text"}}, "not understood: schema.type: 'text'"),
        ("similarity", {"references": ["a"], "full": 0.2, "none": 0.5}, "none must be less than full"),
        ("tool-call", {}, "expected.name: Field required"),
    ],
)
def test_what_a_case_expects_wrongly_is_named(grader: str, expected: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check(case(grader, **expected))
