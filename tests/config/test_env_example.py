"""config/env.example tells of every setting, and of none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from app import config_files, settings

CONFIG = Path(__file__).resolve().parents[2] / "config"
#: of OpenTelemetry's, whose list is its own
OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
LINE = re.compile(r"^# ([A-Z_]+)=(.*)$", re.MULTILINE)


def test_every_setting_has_a_line_in_the_example() -> None:
    lines = {name for name, _ in LINE.findall((CONFIG / "env.example").read_text())}
    keys = {provider.key_env for provider in config_files.load_providers(CONFIG)}
    assert lines == {*settings.KNOWN, *keys, "DATABASE_URL", "REDIS_URL", *OTEL}


def test_the_example_is_valid_with_every_line_switched_on(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(LINE.sub(r"\1=\2", (CONFIG / "env.example").read_text()))
    loaded = settings.load(environment={}, dotenv=dotenv)
    assert loaded.port == 4000
    assert loaded.database_url is not None


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    """Except where the default is to have none."""
    text = (CONFIG / "env.example").read_text()
    shown = {name: value for name, value in LINE.findall(text) if value and "URL" not in name and "TRACE" not in name}
    default, example = settings.load(environment={}, dotenv=None), settings.load(environment=shown, dotenv=None)
    different = [name for name in default.__slots__ if getattr(default, name) != getattr(example, name)]
    assert different == ["environment"]
