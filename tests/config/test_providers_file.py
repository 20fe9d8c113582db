"""config/providers.toml: what a block may say, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config_files import load_providers
from app.domain.catalog import SchemaBy
from app.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[2] / "config"


def written(folder: Path, wire: str, *lines: str) -> Path:
    head = ["[some]", f'format = "{wire}"', 'base_url = "http://h"', 'models = ["m"]']
    (folder / "providers.toml").write_text("\n".join([*head, *lines]), encoding="utf-8")
    return folder


def test_of_the_providers_we_ship_only_deepseek_is_told_a_schema_as_a_tool() -> None:
    by_tool = [provider.name for provider in load_providers(CONFIG) if provider.json_schema is SchemaBy.TOOL]

    assert by_tool == ["deepseek"]


@pytest.mark.parametrize(("lines", "way"), [((), SchemaBy.NATIVE), (('json_schema = "tool"',), SchemaBy.TOOL)])
def test_a_schema_goes_the_native_way_unless_the_block_says_otherwise(
    tmp_path: Path, lines: tuple[str, ...], way: SchemaBy
) -> None:
    (provider,) = load_providers(written(tmp_path, "openai", *lines))

    assert provider.json_schema is way


def test_a_block_says_what_its_models_can(tmp_path: Path) -> None:
    (provider,) = load_providers(written(tmp_path, "openai", "capabilities = { vision = false, efforts = ['low'] }"))
    assert dict(provider.capabilities) == {"vision": False, "efforts": ("low",)}


@pytest.mark.parametrize(("said", "why"), [("sight = true", "unknown capability sight"), ("vision = 3", "vision: ")])
def test_a_wrong_capability_is_refused_by_name(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refusal:
        load_providers(written(tmp_path, "openai", f"capabilities = {{ {said} }}"))
    assert refusal.value.field == "some.capabilities"


@pytest.mark.parametrize(
    ("wire", "line", "why"),
    [
        ("openai", 'json_schema = "prompt"', "'native' or 'tool'"),
        ("openai", "json_schema = true", "'native' or 'tool'"),
        ("anthropic", 'json_schema = "tool"', "only a provider of format"),
        ("gemini", 'json_schema = "native"', "only a provider of format"),
    ],
)
def test_a_wrong_way_is_refused_by_file_key_and_reason(tmp_path: Path, wire: str, line: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refusal:
        load_providers(written(tmp_path, wire, line))

    assert "providers.toml: some.json_schema: " in refusal.value.message
    assert refusal.value.field == "some.json_schema"
