from __future__ import annotations

from pathlib import Path

import pytest

from app import settings
from app.errors import ConfigError


def load(**values: str) -> settings.Settings:
    return settings.load(values, dotenv=None)


def test_nothing_set_means_the_documented_defaults() -> None:
    configured = load()

    assert (configured.host, configured.port, configured.flower_port, configured.lab_port) == (
        "127.0.0.1",
        4000,
        5555,
        4010,
    )
    assert configured.data_dir.name == ".tooloo"
    assert configured.config_dir.name == "config"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOOLOO_PORT", "http"),
        ("TOOLOO_PORT", "70000"),
        ("TOOLOO_PORT", "4000.5"),
        ("TOOLOO_LAB_SPEED", "0"),
        ("TOOLOO_LAB_SEED", "0.5"),
        ("TOOLOO_LOG_FORMAT", "xml"),
        ("DATABASE_URL", "mysql://x"),
        ("REDIS_URL", "localhost:6379"),
        ("TOOLOO_FLOWER_AUTH", "secret"),
        ("TOOLOO_FLOWER_AUTH", "me:"),
        ("TOOLOO_FLOWER_AUTH", ":secret"),
        ("TOOLOO_FLOWER_AUTH", "me:pass,word"),  # Flower would take `word` for another user
        ("TOOLOO_PROT", "4000"),  # a typing error must not pass for a default
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as refusal:
        load(**{name: value})

    assert refusal.value.field == name


@pytest.mark.parametrize(
    "value", ["your-key-here", "<key>", "changeme", "sk-...", "sk-12 34", "sk-12\t34", "schlüssel", "sk-1\x07"]
)
def test_what_cannot_be_a_key_is_refused_before_anything_is_called(value: str) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        load(OPENAI_API_KEY=value).provider_key("OPENAI_API_KEY")


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_key_is_no_key(value: str) -> None:
    assert load(OPENAI_API_KEY=value).provider_key("OPENAI_API_KEY") is None


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TOOLOO_PORT=4001\nTOOLOO_LAB_PORT=4011\nGEMINI_API_KEY='abc#1'\n")

    configured = settings.load({"TOOLOO_PORT": "4002"}, dotenv=file)

    assert (configured.port, configured.lab_port) == (4002, 4011)
    assert configured.provider_key("GEMINI_API_KEY") == "abc#1"


def test_a_line_of_the_file_that_sets_nothing_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("OPENAI_API_KEY\n")

    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        settings.load({}, dotenv=file)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_common_database_url_names_our_driver(scheme: str) -> None:
    configured = load(DATABASE_URL=f"{scheme}://me:secret@db:5432/tooloo?sslmode=require")

    assert configured.require_database_url() == "postgresql+psycopg2://me:secret@db:5432/tooloo?sslmode=require"


def test_the_snapshot_stands_in_the_config_folder_unless_it_is_named(tmp_path: Path) -> None:
    beside = load(TOOLOO_CONFIG_DIR=str(tmp_path))
    elsewhere = load(TOOLOO_CONFIG_DIR=str(tmp_path), TOOLOO_SNAPSHOT_FILE=str(tmp_path / "data" / "runtime.json"))

    assert beside.snapshot_file == tmp_path / "runtime.json"
    assert elsewhere.snapshot_file == tmp_path / "data" / "runtime.json"


def test_secrets_do_not_show() -> None:
    configured = load(
        OPENAI_API_KEY="sk-secret1",
        TOOLOO_ADMIN_KEY="secret2",
        TOOLOO_FLOWER_AUTH="me:secret3",
        DATABASE_URL="postgresql://me:secret4@db/tooloo",
        REDIS_URL="redis://:secret5@redis",
    )

    assert "secret" not in repr(configured)
