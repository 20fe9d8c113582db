"""config/prompts.toml: the ten standard prompts, and what a wrong file is told."""

from pathlib import Path

import pytest

from app.config_files import load_prompts
from app.domain.catalog import Prompt, TaskType
from app.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[2] / "config"

OWN = """
[own]
category = "mine"
text = "  Is water wet?\\n"
max_tokens = 10
grader = "exact"
expected = { items = [{ accept = "yes" }] }
"""


def load(tmp_path: Path, text: str) -> tuple[Prompt, ...]:
    (tmp_path / "prompts.toml").write_text(text, encoding="utf-8")
    return load_prompts(tmp_path)


def test_the_ten_standard_prompts_are_there_in_order() -> None:
    assert [(prompt.id, prompt.category, prompt.task_type, prompt.grader) for prompt in load_prompts(CONFIG)] == [
        ("simple-qa", "simple Q&A", TaskType.DEFAULT, "exact"),
        ("code-javascript", "code generation", TaskType.CODE, "javascript"),
        ("explanation", "explanation", TaskType.DEFAULT, "explanation"),
        ("summarisation", "summarisation", TaskType.ANALYSIS, "summary"),
        ("creative-writing", "creative writing", TaskType.CREATIVE, "poem"),
        ("data-extraction", "data extraction", TaskType.ANALYSIS, "extraction"),
        ("maths-problem", "maths problem", TaskType.ANALYSIS, "numeric"),
        ("json-transform", "transformation to JSON", TaskType.CODE, "json"),
        ("pros-and-cons", "pros and cons", TaskType.ANALYSIS, "pros-cons"),
        ("logic-puzzle", "logic puzzle", TaskType.ANALYSIS, "logic"),
    ]


def test_every_standard_prompt_is_enabled_and_bounded() -> None:
    prompts = load_prompts(CONFIG)
    assert all(prompt.enabled for prompt in prompts)
    assert all(256 <= prompt.max_tokens <= 4096 for prompt in prompts)


def test_a_prompt_of_ones_own_is_read(tmp_path: Path) -> None:
    (prompt,) = load(tmp_path, OWN)
    assert (prompt.id, prompt.text, prompt.task_type) == ("own", "Is water wet?", TaskType.DEFAULT)


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        # what is wrong in the block itself
        (OWN.replace('grader = "exact"\n', ""), "own.grader", "Field required"),
        (OWN.replace("max_tokens = 10", "max_tokens = 0"), "own.max_tokens", "greater than or equal to 1"),
        (OWN.replace('text = "  Is water wet?\\n"', 'text = "  "'), "own.text", "at least 1 character"),
        (OWN + 'task_type = "poetry"', "own.task_type", "'default', 'creative', 'code' or 'analysis'"),
        (OWN + "temperature = 1", "own.temperature", "Extra inputs are not permitted"),
        (OWN.replace("[own]", '["My prompt"]'), "My prompt", "should match pattern"),
        # what is wrong for its grader
        (OWN.replace('"exact"', '"exakt"'), "own.grader", "unknown grader 'exakt'; known are: exact, "),
        (OWN.replace("accept", "acept"), "own.expected.items.0.accept", "Field required"),
        (OWN.replace('"yes"', "true"), "own.expected.items.0.accept", "valid string: got True"),
        # what leaves nothing to ask
        ("", "prompts.toml", "at least one enabled prompt"),
        (OWN + "enabled = false", "prompts.toml", "at least one enabled prompt"),
        ("[own", "prompts.toml", "Expected ']'"),
    ],
)
def test_a_wrong_file_is_refused_by_file_key_and_reason(wrong: str, field: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, wrong)
    assert "prompts.toml" in refused.value.message
    assert says in refused.value.message
    assert refused.value.field == field


def test_a_disabled_prompt_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"other\.grader: unknown grader"):
        load(tmp_path, OWN + OWN.replace("[own]", "[other]").replace('"exact"', '"exakt"') + "enabled = false")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompts\.toml: .*No such file"):
        load_prompts(tmp_path)
