"""What changes in providers.toml is taken over once, when it is whole and right."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.operations import health, provider_file
from app.operations.provider_file import Changes
from tests.support.system import System

BLOCK = '[some]\nformat = "openai"\nbase_url = "http://h/v1"\nmodels = ["m"]\n'


def test_a_change_counts_once_it_has_come_to_rest(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(BLOCK)
    changes = Changes(tmp_path)
    seen = [changes.look()]
    for text in ("[so", "[some]\n", f"{BLOCK}priority = 2\n"):  # as an editor writes it, bit by bit
        file.write_text(text)
        seen.append(changes.look())

    assert seen == [False] * 4
    assert [changes.look() for _ in range(3)] == [True, False, False]


def test_a_file_that_is_away_for_a_moment_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(BLOCK)
    changes = Changes(tmp_path)
    file.unlink()
    looks = [changes.look(), changes.look()]
    file.write_text(BLOCK)

    assert [*looks, changes.look(), changes.look()] == [False] * 4


def test_readyz_says_what_is_not_taken_over_and_why(system: System) -> None:
    services = system.services
    check = health.checks(services, health.Vitals())["files"]
    assert check() == "ok"
    file = services.settings.config_dir / "providers.toml"
    before = file.read_text()
    file.write_text(BLOCK.replace("openai", "opnai"))

    assert check().startswith("not taken over, the one before stays: ")
    assert "some.format" in check()
    file.write_text(before)
    assert check() == "ok"


def test_a_trial_says_in_one_line_why_it_cannot_be(monkeypatch: pytest.MonkeyPatch, system: System) -> None:
    monkeypatch.setenv("TOOLOO_CONFIG_DIR", str(system.services.settings.config_dir))
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert provider_file.tried() is None
    (system.services.settings.config_dir / "providers.toml").write_text(BLOCK.replace("models", "modles"))

    problem = provider_file.tried()
    assert problem is not None
    assert "some.models" in problem
