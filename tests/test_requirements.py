"""deploy/requirements*.txt are what `make requirements` makes of pyproject.toml: pinned, hashed, without addresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize(
    ("file", "declared"),
    [
        ("requirements.txt", PROJECT["dependencies"] + EXTRAS["otlp"]),
        ("requirements-local.txt", PROJECT["dependencies"] + EXTRAS["otlp"] + EXTRAS["local"]),
        ("requirements-dev.txt", PROJECT["dependencies"] + EXTRAS["otlp"] + EXTRAS["local"] + EXTRAS["dev"]),
    ],
)
def test_what_is_declared_is_what_is_installed(file: str, declared: list[str]) -> None:
    text = (ROOT / "deploy" / file).read_text()
    pins = {_normal(pin) for pin in re.findall(r"^([^\s#]+==[^\s;]+)", text, re.MULTILINE)}
    assert {_normal(line.partition(";")[0]) for line in declared} - pins == set()
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(pins)


def test_the_project_is_built_by_the_setuptools_that_is_installed() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert set(build) <= set(EXTRAS["local"])


def _normal(pin: str) -> str:
    """Without spaces and extras, in lower case, dashes for underscores."""
    return re.sub(r"\[.*?\]|\s", "", pin).replace("_", "-").lower()
