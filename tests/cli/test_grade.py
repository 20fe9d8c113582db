"""tooloo grade, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from app.cli.grade import grade
from tests.domain.grading.standard import PERFECT


def run(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(grade, [*map(str, arguments)], input=text)


def test_an_answer_in_a_file_is_graded_with_reasons(tmp_path: Path) -> None:
    answer = tmp_path / "answer.txt"
    answer.write_text("1. Canberra\n2. Titanium\n3. Venus\n4. France")

    told = run("simple-qa", answer)

    assert told.exit_code == 0
    assert told.output.splitlines() == [
        "0.750  simple-qa, by the grader exact",
        "  3 of 4 right",
        "  2: 'tungsten' is not there",
    ]


def test_what_is_piped_in_is_graded_as_json() -> None:
    told = run("maths-problem", "-", "--json", text="43.6 minutes\n")

    assert json.loads(told.output) == {
        "case": "maths-problem",
        "grader": "numeric",
        "grade": 1.0,
        "reasons": ["the result is 43.6 minutes"],
    }


def test_what_is_no_part_of_the_answer_is_said() -> None:
    told = run("simple-qa", "-", text=f"<reasoning>Sydney?</reasoning>{PERFECT['simple-qa']}")

    assert told.output.startswith("1.000  simple-qa")
    assert "30 of 72 characters are no part of the answer" in told.output


def test_an_unknown_case_names_the_known_ones() -> None:
    told = run("haiku", "-", text="x")

    assert told.exit_code == 2
    assert "unknown case 'haiku'; known are: simple-qa, code-javascript," in " ".join(told.output.split())
