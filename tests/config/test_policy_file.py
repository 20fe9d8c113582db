"""config/policy.toml: what earlier releases knew is named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config_files import REMOVED, load_policy
from app.domain.policy import Policy
from app.errors import ConfigError


@pytest.mark.parametrize("name", sorted(REMOVED))
def test_a_removed_key_is_named_with_what_stands_in_for_it(tmp_path: Path, name: str) -> None:
    table, _, key = name.partition(".")
    (tmp_path / "policy.toml").write_text(f"[{table}]\n{key} = 1\n")

    with pytest.raises(ConfigError, match=rf"policy\.toml: {table}\.{key}: was removed: .*delete this line") as error:
        load_policy(tmp_path)

    assert error.value.field == key


def test_the_shipped_file_has_the_defaults() -> None:
    assert load_policy(Path("config")).weights == Policy().weights
