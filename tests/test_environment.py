"""What shells, orchestrators and secret stores put into the environment, and what people write into `.env`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import environment, settings
from app.errors import ConfigError
from app.settings import Settings

#: what Kubernetes sets for services called tooloo, tooloo-redis and flower; and what a link of Docker does
OF_SERVICES = {
    "TOOLOO_SERVICE_HOST": "10.0.0.1",
    "TOOLOO_SERVICE_PORT": "4000",
    "TOOLOO_SERVICE_PORT_HTTP": "4000",
    "TOOLOO_PORT": "tcp://10.0.0.1:4000",
    "TOOLOO_PORT_4000_TCP": "tcp://10.0.0.1:4000",
    "TOOLOO_PORT_4000_TCP_PROTO": "tcp",
    "TOOLOO_PORT_4000_TCP_PORT": "4000",
    "TOOLOO_PORT_4000_TCP_ADDR": "10.0.0.1",
    "TOOLOO_REDIS_SERVICE_HOST": "10.0.0.2",
    "TOOLOO_REDIS_PORT": "tcp://10.0.0.2:6379",
    "TOOLOO_REDIS_PORT_6379_UDP_ADDR": "10.0.0.2",
    "TOOLOO_FLOWER_PORT": "tcp://10.0.0.9:5555",
    "TOOLOO_LAB_PORT": "udp://10.0.0.9:4010",
}


def load(**values: str) -> Settings:
    return settings.load(values, dotenv=None)


def test_variables_of_services_are_no_settings() -> None:
    configured = load(**OF_SERVICES)

    assert (configured.port, configured.flower_port, configured.lab_port) == (4000, 5555, 4010)


def test_a_typing_error_is_still_one_beside_them() -> None:
    with pytest.raises(ConfigError, match="TOOLOO_PROT is not a setting"):
        load(**OF_SERVICES, TOOLOO_PROT="4001")


def test_neither_flower_nor_celery_gets_what_was_never_meant_for_them() -> None:
    found = {
        "FLOWER_PORT": "tcp://10.0.0.9:5555",
        "FLOWER_SERVICE_HOST": "10.0.0.9",
        "FLOWER_MAX_TASKS": "10000",
        "CELERY_BROKER_URL": "redis://another-project/0",
        "HOME": "/root",
    }
    environment.disregard(found)

    assert found == {"FLOWER_MAX_TASKS": "10000", "HOME": "/root"}


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "written", ["adm-secret-1234\n", "  adm-secret-1234 ", "adm-secret-1234\r\n", "\tadm-secret-1234"]
)
def test_what_stands_around_a_key_is_no_part_of_it(written: str) -> None:
    configured = load(TOOLOO_ADMIN_KEY=written, TOOLOO_API_KEY=written, OPENAI_API_KEY=written)

    assert configured.admin_key == configured.api_key == "adm-secret-1234"
    assert configured.provider_key("OPENAI_API_KEY") == "adm-secret-1234"


@pytest.mark.parametrize("name", ["TOOLOO_ADMIN_KEY", "TOOLOO_API_KEY"])
@pytest.mark.parametrize(
    "value", ["change-me", "a b", "<key>", '"adm-secret-1234"', "'adm-secret-1234'", "schlüssel", "your-key", 'adm-1"']
)
def test_what_no_header_can_carry_is_refused_by_name_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as refusal:
        load(**{name: value})

    assert value not in str(refusal.value)


@pytest.mark.parametrize("value", ['"sk-abc"', "'sk-abc'", 'sk-abc"', "`sk-abc`"])
def test_quotes_that_docker_keeps_are_no_part_of_a_key(value: str) -> None:
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY.*quote"):
        load(OPENAI_API_KEY=value).provider_key("OPENAI_API_KEY")


@pytest.mark.parametrize("value", ["me:p,a:s", "me", "me:", ":secret", "me:p\u00e4ss", "me:change-me"])
def test_what_flower_would_split_or_cannot_use_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="TOOLOO_FLOWER_AUTH") as refusal:
        load(TOOLOO_FLOWER_AUTH=value)

    assert value not in str(refusal.value)


@pytest.mark.parametrize("value", ["me:a:b", "me:s$s w#rd", "me@example.com:x"])
def test_any_other_password_of_flower_is_taken(value: str) -> None:
    assert load(TOOLOO_FLOWER_AUTH=value).flower_auth == value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("TOOLOO_ADMIN_KEY", "adm-secret-1234"),
        ("TOOLOO_API_KEY", "api-secret-1234"),
        ("TOOLOO_FLOWER_AUTH", "me:secret"),
        ("DATABASE_URL", "postgresql://u:p@h/db"),
        ("REDIS_URL", "redis://:p@h:6379/0"),
        ("OPENAI_API_KEY", "sk-abc"),
    ],
)
def test_every_secret_may_stand_in_a_file(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content + "\n")

    assert _seen(load(**{f"{name}_FILE": str(file)}), name) == _seen(load(**{name: content}), name)
    assert content in str(_seen(load(**{name: content}), name)).replace("+psycopg2", "")


def _seen(configured: Settings, name: str) -> str | None:
    by_name = {
        "TOOLOO_ADMIN_KEY": configured.admin_key,
        "TOOLOO_API_KEY": configured.api_key,
        "TOOLOO_FLOWER_AUTH": configured.flower_auth,
        "DATABASE_URL": configured.database_url,
        "REDIS_URL": configured.redis_url,
    }
    return by_name[name] if name in by_name else configured.provider_key(name)


@pytest.mark.parametrize("name", ["TOOLOO_ADMIN_KEY", "OPENAI_API_KEY"])
def test_a_file_that_is_away_or_empty_or_one_too_many_is_named(tmp_path: Path, name: str) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for values, why in (
        ({f"{name}_FILE": str(tmp_path / "away")}, "cannot be read: No such file"),
        ({f"{name}_FILE": str(empty)}, "holds nothing"),
        ({f"{name}_FILE": str(empty), name: "sk-abc"}, "both set"),
    ):
        with pytest.raises(ConfigError, match=f"{name}_FILE.*{why}"):
            load(**values).provider_key(name)


def test_a_file_of_another_name_is_not_read() -> None:
    assert load(SSL_CERT_FILE="/etc/ssl/cert.pem").environment["SSL_CERT_FILE"] == "/etc/ssl/cert.pem"


# ── .env ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("OPENAI_API_KEY: sk-proj-secret", "this is YAML; write OPENAI_API_KEY=value"),
        ("OPENAI_API_KEY='sk-secret", "quotes do not match"),
        ('OPENAI_API_KEY="sk-secret', "quotes do not match"),
        ("OPENAI_API_KEY='sk-secret' behind", "quotes do not match"),
        ("OPENAI_API_KEY", "has no value"),
        ("export OPENAI_API_KEY", "has no value"),
        ("OPENAI_API_KEY sk-secret", "has no value"),
    ],
)
def test_a_broken_line_stops_with_its_file_and_number_and_not_with_its_secret(
    tmp_path: Path, line: str, why: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"# keys\n\nTOOLOO_PORT=4001\n\n{line}\nTOOLOO_LAB_PORT=4011\n")

    with pytest.raises(ConfigError, match=re.escape(".env, line 5: OPENAI_API_KEY: ")) as refusal:
        settings.load({}, dotenv=file)

    assert why in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("OPENAI_API_KEY=sk-1#2", "sk-1#2"),
        ("OPENAI_API_KEY=sk-1 # mine", "sk-1"),
        ("export OPENAI_API_KEY=sk-1", "sk-1"),
        ("OPENAI_API_KEY = 'sk-1'", "sk-1"),
        ("\ufeffOPENAI_API_KEY=sk-1", "sk-1"),
        ("OPENAI_API_KEY=sk-$1\r", "sk-$1"),
        ("OPENAI_API_KEY=", None),
    ],
)
def test_every_usual_way_to_write_a_line_is_read(tmp_path: Path, line: str, value: str | None) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{line}\n", encoding="utf-8")

    assert settings.load({}, dotenv=file).provider_key("OPENAI_API_KEY") == value
