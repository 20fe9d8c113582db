"""Cases of one's own: files, and the commands that write them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.cases import cases
from app.config_cases import load_cases
from app.config_files import load_prompts
from app.domain.grading import grade
from app.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[2] / "config"
LINE = {"id": "mine", "text": "Which queue?", "grader": "label", "expected": {"label": "a", "labels": ["a", "b"]}}
CSV = """id,text,grader,label,labels,tags,answer
,I want my money back,label,refund,"[""refund"", ""shipping""]",support de,
late,Where is my parcel?,label,shipping,"[""refund"", ""shipping""]",,
toothbrush,May I return a used toothbrush?,yes-no,,,,no
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.setenv("TOOLOO_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cases, [*map(str, arguments)])


def write(folder: Path, *lines: object) -> None:
    (folder / "cases").mkdir(exist_ok=True)
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    (folder / "cases" / "own.jsonl").write_text(text)


def test_cases_are_prompts_behind_the_standard_ones(folder: Path) -> None:
    turns = [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello"}]
    write(folder, {**LINE, "system": "Be brief.", "turns": turns, "tags": ["support"]})

    *standard, mine = load_prompts(folder)

    assert len(standard) == 10
    assert not any(prompt.own for prompt in standard)
    assert (mine.id, mine.own, mine.system, mine.tags) == ("mine", True, "Be brief.", ("support",))
    assert mine.turns == (("user", "Hi"), ("assistant", "Hello"))
    assert grade(mine, "a").score == 1


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([LINE, "{"], r"own\.jsonl:2: line: Invalid JSON"),
        ([{**LINE, "text": ""}], r"own\.jsonl:1: text: String should have at least 1 character"),
        ([{**LINE, "colour": 1}], r"own\.jsonl:1: colour: Extra inputs are not permitted"),
        ([LINE, LINE], r"own\.jsonl:2: id: 'mine' is also that of .*own\.jsonl:1"),
        ([{**LINE, "id": "simple-qa"}], r"id: 'simple-qa' is that of a block of prompts\.toml"),
        ([{**LINE, "grader": "labels"}], r"own\.jsonl:1: grader: unknown grader 'labels'"),
        (
            [{**LINE, "expected": {"label": "c", "labels": ["a"]}}],
            r"own\.jsonl:1: expected: label 'c' is none of labels",
        ),
        ([{**LINE, "turns": [{"role": "tool", "text": "x"}]}], r"own\.jsonl:1: turns\.0\.role: Input should be 'user'"),
    ],
)
def test_a_wrong_line_is_named_by_file_line_and_field(folder: Path, lines: list[object], says: str) -> None:
    write(folder, *lines)

    with pytest.raises(ConfigError, match=says):
        load_prompts(folder)


def test_cases_come_from_a_table(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "support.csv"
    table.write_text(CSV)

    told = run("import", table)

    assert told.exit_code == 0, told.output
    assert [case.id for case in load_cases(folder)] == ["support-1", "late", "toothbrush"]
    first, _, last = load_cases(folder)
    assert (first.tags, first.expected) == (("support", "de"), {"label": "refund", "labels": ["refund", "shipping"]})
    assert last.expected == {"answer": "no"}
    assert "support-1  I want my money back  [label, support, de]" in run("list").output


def test_all_cases_of_a_file_are_imported_or_none(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text(json.dumps(LINE) + "\n" + json.dumps({**LINE, "id": "other", "grader": "x"}) + "\n")

    told = run("import", file)

    assert isinstance(told.exception, ConfigError)
    assert "more.jsonl:2: grader: unknown grader 'x'" in str(told.exception)
    assert load_cases(folder) == ()


def test_what_is_exported_can_be_imported(folder: Path, tmp_path: Path) -> None:
    write(folder, {**LINE, "system": "Be brief.", "tags": ["x"], "enabled": False})
    before = load_cases(folder)
    file = tmp_path / "back.jsonl"
    file.write_text(run("export").output)

    assert run("remove", "mine").exit_code == 0
    assert load_cases(folder) == ()
    assert run("import", file).exit_code == 0

    assert load_cases(folder) == before
    assert "there is no case 'gone'" in " ".join(run("remove", "gone").output.split())
