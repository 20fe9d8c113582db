"""What holds for every grader: it never raises, always gives the same, and is not fooled by form."""

import dataclasses
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.catalog import Prompt
from app.domain.grading import check, grade
from app.errors import ConfigError, LocalFailure
from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between, grade_of

#: every prompt whose grader starts no process
QUICK = [name for name in PROMPTS if name != "code-javascript"]

#: pieces of the answers that graders look for, to be shuffled into something none of them was written for
PIECES = [
    *(word for answer in PERFECT.values() for word in answer.split()[:12]),
    *"""{ } [ ] ( ) " ' ` ``` ~~~ | || * ** _ # > - 1. 2) : ： ; ， 。 = / % € . ! ? … <think> </think>""".split(" "),  # noqa: SIM905  # as a list it is unreadable
    *["\n", "\n\n", "\t", "\\"],
    *[
        "answer:",
        "pros",
        "cons",
        "dates:",
        "amounts:",
        "function",
        "\\boxed{",
        "not",
        "or",
        "1,234.5",
        "1/0",
        "1e999",
        "٣",
    ],
]


def answers() -> st.SearchStrategy[str]:
    shuffled = st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join)
    return st.one_of(st.text(st.characters(), max_size=300), shuffled, st.text(st.characters(max_codepoint=127)))


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=60, deadline=None)
@given(answer=answers())
def test_no_answer_makes_a_grader_raise(name: str, answer: str) -> None:
    found = grade_of(name, answer)
    assert 0 <= found.score <= 1
    assert found.reasons
    assert found == grade_of(name, answer)
    # what is stored with the result must be storable: valid UTF-8, no NUL
    assert all("\0" not in reason.encode().decode() for reason in found.reasons)


@settings(max_examples=25, deadline=None)
@given(source=st.one_of(st.text(st.characters(), max_size=200), st.lists(st.sampled_from(PIECES)).map(" ".join)))
def test_no_code_makes_the_javascript_grader_raise(source: str) -> None:
    assert 0 <= grade_of("code-javascript", f"function parseDuration(text) {{ {source} }}").score < 1


HOSTILE = {
    "brackets": "[" * 1_000_000,
    "objects": '{"a":' * 200_000,
    "blanks": " " * 1_000_000,
    "lines": "x\n" * 500_000,
    "one word": "a" * 1_000_000,
    "digits": "1" * 1_000_000,
    "digit groups": "1" + ",111" * 250_000,
    "quotes": '."' * 500_000,
    "fences": "```\n" * 250_000,
    "table": "| a " * 250_000,
    "declarations": "answer: 1 " * 100_000,
    "characters that grow": "\ufdfa" * 1_000_000,
    "lone surrogates": "\ud800" * 1_000_000,
    "NUL": "\0" * 1_000_000,
    "function, almost": "function" + " " * 1_000_000 + "parseDuration",
    "export, almost": "export" + " " * 1_000_000,
}


# no time limit but the suite's: a bomb that goes off takes hours, not seconds
@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_of_anything_is_graded_in_bounded_time(name: str, answer: str) -> None:
    assert_between(name, answer, 0, 0.2)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_perfect_answer_stays_perfect_in_any_wrapping(name: str) -> None:
    answer = PERFECT[name]
    assert_between(name, answer, 1, 1)
    assert_between(name, f"```\n{answer}\n```", 1, 1)
    assert_between(name, answer.replace("\n", "\r\n"), 1, 1)
    assert_between(name, f"\n\n  {answer}\n\n ", 1, 1)
    assert_between(name, f"<think>\n{REFUSAL} 1. Sydney\n</think>\n\n{answer}", 1, 1)
    # the poem alone was asked for
    assert_between(name, f"Sure! Here is what you asked for:\n\n{answer}\n\nLet me know if you need more!", 0.95, 1)


@pytest.mark.parametrize("name", PROMPTS)
def test_length_echo_refusal_and_repetition_earn_nothing(name: str) -> None:
    assert_between(name, "", 0, 0)
    assert_between(name, " \n\t ", 0, 0)
    assert_between(name, PROMPTS[name].text, 0, 0)
    assert_between(name, f"{PROMPTS[name].text}\n\n" * 5, 0, 0)
    assert_between(name, REFUSAL, 0, 0.1)
    assert_between(name, FILLER * 30, 0, 0.1)
    assert_between(name, "\n\n".join([PERFECT[name]] * 50), 0, 0.1)
    if name != "summarisation":  # whose length counts
        assert_between(name, f"{PROMPTS[name].text}\n\n{PERFECT[name]}", 0.96, 1)
    # an answer that was thought of, but never given
    assert_between(name, f"<think>\n{PERFECT[name]}", 0, 0)


@pytest.mark.parametrize("name", [name for name in PROMPTS if name != "summarisation"])  # too short to tell
def test_the_words_of_a_perfect_answer_in_another_order_earn_little(name: str) -> None:
    spoken = PERFECT[name].split()
    scores = [grade_of(name, " ".join(random.Random(seed).sample(spoken, len(spoken)))).score for seed in range(20)]

    assert_between(name, " ".join(sorted(spoken)), 0, 0.3)
    assert sum(scores) / len(scores) <= 0.35


@pytest.mark.parametrize("name", PROMPTS)
def test_filler_behind_half_an_answer_takes_from_it(name: str) -> None:
    half = PERFECT[name][: len(PERFECT[name]) // 2]

    assert grade_of(name, f"{half}\n\n{FILLER * 10}").score <= grade_of(name, half).score
    assert_between(name, f"{PROMPTS[name].text}\n\n{FILLER * 10}", 0, 0.05)


@pytest.mark.parametrize("name", PROMPTS)
def test_the_perfect_answer_to_another_prompt_earns_next_to_nothing(name: str) -> None:
    for other, answer in PERFECT.items():
        if other != name:
            assert_between(name, answer, 0, 0.3)


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"grader": "exakt"}, "grader", "unknown grader 'exakt'; known are: exact, numeric"),
        ({"expected": None}, "expected", "valid dictionary"),
        ({"expected": {}}, "expected.items", "Field required"),
        ({"expected": {"items": []}}, "expected.items", "at least 1 item"),
        ({"expected": {"items": [{"accept": "yes |"}]}}, "expected.items.0.accept", "a term needs a word on each side"),
        ({"expected": {"items": [{"accept": "yes"}], "item": 1}}, "expected.item", "not permitted"),
        ({"grader": "numeric", "expected": {"value": "much"}}, "expected.value", "valid number"),
        ({"grader": "numeric", "expected": {"value": float("nan")}}, "expected.value", "finite number"),
        ({"grader": "json", "expected": {"value": "{"}}, "expected.value", "Expecting property name"),
        (
            {"grader": "javascript", "expected": {"function": "f()", "cases": []}},
            "expected.function",
            "String should match pattern",
        ),
        (
            {"grader": "extraction", "expected": {"fields": {"when": {"kind": "date", "items": ["8 March"]}}}},
            "expected.fields.when",
            "Invalid isoformat string",
        ),
        (
            {
                "grader": "logic",
                "expected": {"solution": ["a"], "others": ["a"], "steps": [{"name": "x", "needs": ["a"]}]},
            },
            "expected",
            "must not name the same thing twice",
        ),
        (
            {"grader": "poem", "expected": {"lines": 3, "stanzas": 1, "words_per_line": [9, 3]}},
            "expected.words_per_line",
            r"must be \[fewest, most\]",
        ),
        (
            {"grader": "poem", "expected": {"lines": 3, "stanzas": 1, "words_per_line": [1, 9], "acrostic": "SEA!"}},
            "expected",
            "acrostic has 4 letters for 3 lines",
        ),
        (
            {"grader": "explanation", "expected": {"concepts": [{"name": "x", "needs": ["a"]}] * 2}},
            "expected.concepts",
            "names must differ",
        ),
    ],
)
def test_a_wrong_prompt_is_refused_by_key_and_reason(change: dict[str, object], field: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        check(dataclasses.replace(PROMPTS["simple-qa"], **change))
    assert refused.value.field == field
    assert refused.value.message.startswith(field)


MODULE = """
from app.domain.grading import Expectation, Grader, graded

class Shout(Expectation):
    word: str

SHOUT = Grader(Shout, lambda expected, prompt_text, answer: graded(answer == expected.word.upper(), ["loud?"]))
BROKEN = Grader(Shout, lambda expected, prompt_text, answer: 1 / 0)
NO_GRADER = "not a grader"
"""
ENTRY_POINTS = """
[tooloo.graders]
shout = shouting:SHOUT
broken = shouting:BROKEN
typo = shouting:NO_GRADER
gone = shouting:NOWHERE
"""


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package with graders of its own, as pip would have left it."""
    meta = tmp_path / "shouting-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "shouting.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def prompt_for(grader: str, **expected: object) -> Prompt:
    return dataclasses.replace(PROMPTS["simple-qa"], grader=grader, expected=expected)


@pytest.mark.usefixtures("_installed")
def test_a_package_can_bring_a_grader_of_its_own() -> None:
    check(prompt_for("shout", word="yes"))
    assert grade(prompt_for("shout", word="yes"), "YES").score == 1
    assert grade(prompt_for("shout", word="yes"), "yes").score == 0
    with pytest.raises(ConfigError, match=r"expected\.word: Field required"):
        check(prompt_for("shout"))


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("grader", "says"),
    [
        ("typo", "is not a Grader"),
        ("gone", "does not load"),
        ("none", "unknown grader 'none'; .*, broken, gone, shout"),
    ],
)
def test_a_package_whose_grader_does_not_load_is_named(grader: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check(prompt_for(grader, word="yes"))


@pytest.mark.usefixtures("_installed")
def test_a_grader_that_fails_is_no_fault_of_the_answer() -> None:
    with pytest.raises(LocalFailure, match="ZeroDivisionError: division by zero"):
        grade(prompt_for("broken", word="yes"), "yes")
