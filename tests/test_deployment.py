"""docker-compose.yml, the Dockerfile and their example settings fit the code that they deploy."""

from __future__ import annotations

import re
from pathlib import Path

from app import broker, config_files, settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
EXAMPLE = (ROOT / "deploy" / "env.example").read_text()

PROVIDERS = config_files.load_providers(ROOT / "config")


def test_every_setting_of_the_deployment_is_one_that_the_code_reads() -> None:
    named = set(re.findall(r"TOOLOO_[A-Z_]+", COMPOSE + DOCKERFILE + EXAMPLE))

    assert named <= set(settings.KNOWN)


def test_every_provider_gets_its_key() -> None:
    handed_over = set(re.findall(r"^  ([A-Z_]+_API_KEY): \$\{\1:-\}$", COMPOSE, re.MULTILINE))

    assert handed_over == {provider.key_env for provider in PROVIDERS}


def test_the_worker_groups_together_serve_every_provider() -> None:
    groups = re.findall(r'--queues, "(probe\.[^"]+)"', COMPOSE)

    assert sorted(",".join(groups).split(",")) == sorted(broker.queues(p.name for p in PROVIDERS))


def test_a_worker_has_the_time_to_end_its_probe() -> None:
    worker = COMPOSE.partition("x-worker: &worker")[2]
    grace = re.search(r"stop_grace_period: (\d+)s", worker)

    assert grace is not None
    assert int(grace[1]) >= max(provider.timeout_ms for provider in PROVIDERS) / 1000 + 15


def test_what_must_be_set_is_refused_with_a_reason_and_stands_in_the_example() -> None:
    required = set(re.findall(r"\$\{([A-Z_]+):\?set \1 in \.env", COMPOSE))
    offered = set(re.findall(r"^([A-Z_]+)=$", EXAMPLE, re.MULTILINE))

    assert required == {
        "POSTGRES_PASSWORD",
        "POSTGRES_APP_PASSWORD",
        "REDIS_PASSWORD",
        "TOOLOO_ADMIN_KEY",
        "TOOLOO_API_KEY",
        "TOOLOO_FLOWER_AUTH",
    }
    assert required | {provider.key_env for provider in PROVIDERS} == offered


def test_the_ports_are_published_on_loopback_unless_told_otherwise() -> None:
    published = re.findall(r'ports: \["([^"]+)"\]', COMPOSE)

    assert len(published) == 2
    assert all(port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:") for port in published)


def test_what_a_person_chooses_stands_in_the_example_and_not_in_a_shell() -> None:
    """`up` elsewhere, or after an upgrade, knows `.env` alone: no `--scale`, no exported TAG."""
    chosen = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    shown = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.MULTILINE))

    assert chosen - shown == {"OTEL_SERVICE_NAME"}
    assert "scale: ${WORKERS:-1}" in COMPOSE
    assert "export TAG" not in (ROOT / "docs" / "deployment.md").read_text()
    assert "--scale" not in (ROOT / "docs" / "deployment.md").read_text().partition("## What was tried")[0]
