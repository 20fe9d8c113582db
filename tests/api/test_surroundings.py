"""Behind other people's proxies, and after what has left the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import bootstrap, settings
from app.api import create_app, current
from app.domain.catalog import Target
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.errors import ConfigError, ServerError
from app.gateway.gateway import Gateway
from app.store import database
from app.store.models import Usage
from tests.support.system import build

KEYS = {"TOOLOO_ADMIN_KEY": "admin-key", "TOOLOO_API_KEY": "chat-key"}
SCORECARD = "/api/v1/system/scorecard"


@pytest.fixture
def served(database_url: str, redis_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FlaskClient]:
    system = build(database_url, redis_url, tmp_path, request.param)
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()
    system.close()


def _status(client: FlaskClient, host: str, key: str | None, method: str = "GET", path: str = SCORECARD) -> int:
    headers = {"Host": host, **({"Authorization": f"Bearer {key}"} if key else {})}
    return client.open(path, method=method, headers=headers).status_code


@pytest.mark.parametrize("served", [KEYS], indirect=True)
def test_a_proxy_that_passes_the_host_serves_who_shows_a_key(served: FlaskClient) -> None:
    for path in (SCORECARD, "/metrics", "/v1/models"):
        assert _status(served, "gw.example.com", "chat-key", path=path) == 200
    assert _status(served, "gw.example.com", None) == 401
    assert _status(served, "gw.example.com", "wrong-key") == 401


@pytest.mark.parametrize("served", [{"TOOLOO_ALLOWED_HOSTS": "GW.example.com, gw.local"}], indirect=True)
def test_without_keys_the_names_that_are_allowed_and_loopbacks_are_served(served: FlaskClient) -> None:
    hosts = ("gw.example.com", "gw.local:8443", "127.0.0.1:4000", "evil.example", "evil.gw.local")

    assert [_status(served, host, None) for host in hosts] == [200, 200, 200, 403, 403]


@pytest.mark.parametrize("served", [{**KEYS, "TOOLOO_ALLOWED_HOSTS": "gw.example.com"}], indirect=True)
def test_with_keys_other_names_than_the_allowed_ones_are_refused(served: FlaskClient) -> None:
    hosts = ("gw.example.com", "localhost", "evil.example")

    assert [_status(served, host, "chat-key") for host in hosts] == [200, 200, 403]
    assert _status(served, "evil.example", None, path="/readyz") == 200  # an orchestrator asks under any


@pytest.mark.parametrize("value", ["gw.example.com:8443", "https://gw.example.com", "gw example"])
def test_what_is_no_name_of_a_host_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="TOOLOO_ALLOWED_HOSTS"):
        settings.load({"TOOLOO_ALLOWED_HOSTS": value}, dotenv=None)


@pytest.mark.parametrize("served", [{}], indirect=True)
def test_what_has_left_the_configuration_is_neither_in_metrics_nor_in_readyz(
    served: FlaskClient,
) -> None:
    gateway = _gateway(served)
    gone, now = Target("gone", "m1"), datetime.now(UTC)
    kept = gateway.services.targets[0]
    for target in (gone, kept):
        for _ in range(20):
            gateway.breakers.observe(target, ServerError("down"), now)
    known = {target: _seen(now) for target in (gone, kept)}
    gateway.services.scorecard.value = Scorecard(known)

    breakers = served.get("/readyz").get_json()["data"]["breakers"]
    metrics = served.get("/metrics").get_data(as_text=True)

    assert list(breakers) == [str(kept)]
    assert f'tooloo_evidence_age_seconds{{model="{kept.model}",provider="{kept.provider}"}}' in metrics
    assert 'provider="gone"' not in metrics


def _gateway(client: FlaskClient) -> Gateway:
    with client.application.app_context():
        return current.gateway()


def _seen(now: datetime) -> Evidence:
    return Evidence(last_observed_at=now, success=1.0)


@pytest.mark.parametrize("served", [{}], indirect=True)
def test_a_sum_of_unknown_prices_is_not_known(served: FlaskClient) -> None:
    gateway = _gateway(served)
    sums = {"failed": 0, "prompt_tokens": 1, "completion_tokens": 1, "cached_tokens": 0, "cache_saved_usd": 0.0}
    about = {"day": datetime.now(UTC).date(), "key": "", "segment": "", "model": "m", "simulated": False}
    with database.transaction(gateway.services.sessions) as session:
        for provider, unpriced, cost in (("free", 5, 0.0), ("priced", 0, 0.5), ("both", 2, 0.5)):
            session.add(Usage(provider=provider, requests=5, unpriced=unpriced, cost_usd=cost, **sums, **about))

    rows = served.get("/api/v1/system/usage?by=provider").get_json()["data"]["usage"]

    assert {row["provider"]: row["costUsd"] for row in rows} == {"both": 0.5, "free": None, "priced": 0.5}
