"""What holds for every grader: it never raises, always gives the same, and is not fooled by form."""

import dataclasses
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import grading
from app.domain.grading import Expectation, Grade, Grader, check, grade, graded
from app.errors import ConfigError, LocalFailure
from tests.domain.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between, grade_of

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


@pytest.mark.timeout(20)  # a bomb that goes off takes hours, not seconds
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
    # an answer that was thought of, but never given
    assert_between(name, f"<think>\n{PERFECT[name]}", 0, 0)


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
    ],
)
def test_a_wrong_prompt_is_refused_by_key_and_reason(change: dict[str, object], field: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        check(dataclasses.replace(PROMPTS["simple-qa"], **change))
    assert refused.value.field == field
    assert refused.value.message.startswith(field)


class Shout(Expectation):
    word: str


def shouted(expected: Shout, _prompt_text: str, answer: str) -> Grade:
    return graded(float(answer == expected.word.upper()), ["shouted, or not"])


def broken(_expected: Shout, _prompt_text: str, _answer: str) -> Grade:
    raise ZeroDivisionError("the grader's own mistake")


SHOUT, BROKEN, NO_GRADER = Grader(Shout, shouted), Grader(Shout, broken), "not a grader"


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as an installed package would declare them."""
    entries = {"shout": "SHOUT", "broken": "BROKEN", "typo": "NO_GRADER", "gone": "NOWHERE"}
    found = EntryPoints(
        EntryPoint(name, f"{__name__}:{value}", grading.ENTRY_POINTS) for name, value in entries.items()
    )
    monkeypatch.setattr(grading, "entry_points", lambda **wanted: found.select(**wanted))
    grading._installed.cache_clear()


@pytest.mark.usefixtures("_installed")
def test_a_package_can_bring_a_grader_of_its_own() -> None:
    prompt = dataclasses.replace(PROMPTS["simple-qa"], grader="shout", expected={"word": "yes"})
    check(prompt)
    assert grade(prompt, "YES").score == 1
    assert grade(prompt, "yes").score == 0
    with pytest.raises(ConfigError, match=r"expected\.word: Field required"):
        check(dataclasses.replace(prompt, expected={}))


@pytest.mark.usefixtures("_installed")
def test_a_package_whose_grader_does_not_load_is_named() -> None:
    for name, says in {
        "typo": "is not a Grader",
        "gone": "does not load",
        "none": "unknown grader 'none'.*, shout",
    }.items():
        with pytest.raises(ConfigError, match=says):
            check(dataclasses.replace(PROMPTS["simple-qa"], grader=name))


@pytest.mark.usefixtures("_installed")
def test_a_grader_that_fails_is_no_fault_of_the_answer() -> None:
    prompt = dataclasses.replace(PROMPTS["simple-qa"], grader="broken", expected={"word": "yes"})
    with pytest.raises(LocalFailure, match="ZeroDivisionError: the grader's own mistake"):
        grade(prompt, "yes")
