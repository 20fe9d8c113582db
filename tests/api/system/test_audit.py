"""Who changed what, when, from where, by which key and under which request id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app import bootstrap
from app.api import audited, create_app
from app.errors import DependencyUnavailable
from app.operations import retention
from app.store import audit
from tests.support.system import System, build

SYSTEM = "/api/v1/system"
ADMIN, API = "9b1d84e35a7c9e2d10f6c2a7", "0f6c2a97b1d84e35a7c9e2d1"


@pytest.fixture
def system(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[System]:
    made = build(database_url, redis_url, tmp_path, {"TOOLOO_ADMIN_KEY": ADMIN, "TOOLOO_API_KEY": API})
    yield made
    made.close()


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def send(client: FlaskClient, method: str, path: str, body: Any = None, key: str = ADMIN, **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    answered = client.open(f"{SYSTEM}{path}", method=method, json=body, headers=sent)
    assert answered.status_code < 300, answered.text
    return answered.get_json()["data"]


def entries(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    return list(send(client, "GET", f"/audit{query}")["entries"])


def test_every_change_is_written_down_with_who_made_it(client: FlaskClient) -> None:
    key = send(client, "POST", "/keys", {"name": "ops", "scopes": ["admin"]}, X_Request_Id="first")
    send(client, "PATCH", f"/keys/{key['id']}", {"ratePerMinute": 600})
    version = send(client, "POST", "/runtime-config", {"explorationRate": 0.2}, key["key"])["version"]
    send(client, "POST", "/runtime-config/preview", {"explorationRate": 0.3})
    back = send(client, "POST", "/runtime-config/rollback", {"version": 1})["version"]
    round_id = send(client, "POST", "/benchmarks", {})["roundId"]
    send(client, "DELETE", f"/keys/{key['id']}", {})

    found = entries(client)

    assert [(each["action"], each["subject"], each["actor"], each["key"]) for each in reversed(found)] == [
        ("key.create", key["id"], "admin", "TOOLOO_ADMIN_KEY"),
        ("key.change", key["id"], "admin", "TOOLOO_ADMIN_KEY"),
        ("config.update", version, "ops", key["id"]),
        ("config.rollback", back, "admin", "TOOLOO_ADMIN_KEY"),
        ("round.start", round_id, "admin", "TOOLOO_ADMIN_KEY"),
        ("key.revoke", key["id"], "admin", "TOOLOO_ADMIN_KEY"),
    ]
    assert (found[-1]["requestId"], found[-1]["address"]) == ("first", "127.0.0.1")
    assert [each["detail"] for each in found[:-3:-1]] == [{"name": "ops", "scopes": ["admin"]}, {"ratePerMinute": 600}]
    assert key["key"].split("_")[2] not in str(found)


def test_what_was_refused_changed_nothing_and_is_not_in_it(client: FlaskClient) -> None:
    assert client.post(f"{SYSTEM}/keys", json={"name": "x", "scopes": ["admin"]}).status_code == 401
    for body in ({"scopes": []}, {"name": "x", "scopes": ["root"]}):
        answered = client.post(f"{SYSTEM}/keys", json=body, headers={"Authorization": f"Bearer {ADMIN}"})
        assert answered.status_code == 400
    assert entries(client) == []


def test_admins_alone_read_it_page_by_page(client: FlaskClient) -> None:
    refused = client.get(f"{SYSTEM}/audit", headers={"Authorization": f"Bearer {API}"})
    assert refused.status_code == 403
    for rate in (0.1, 0.2, 0.3):
        send(client, "POST", "/runtime-config", {"explorationRate": rate})
    first = entries(client, "?limit=2")
    rest = entries(client, f"?limit=2&before={first[-1]['id']}")
    assert [len(first), len(rest)] == [2, 1]
    assert len({each["id"] for each in (*first, *rest)}) == 3


def test_no_write_of_the_system_routes_is_forgotten(client: FlaskClient) -> None:
    writing = {
        rule.endpoint
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith(SYSTEM) and (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}
    }
    assert writing == audited.ACTIONS.keys() | audited.READING


def test_a_change_holds_also_where_it_cannot_be_written_down(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object) -> None:
        raise DependencyUnavailable("PostgreSQL is not reachable")

    monkeypatch.setattr(audit, "add", away)
    send(client, "POST", "/runtime-config", {"explorationRate": 0.2})
    said = "".join(capsys.readouterr())
    assert "config.update" in said
    assert "not in the audit table" in said


def test_it_is_forgotten_when_its_time_is_over(client: FlaskClient, system: System) -> None:
    for rate in (0.1, 0.2):
        send(client, "POST", "/runtime-config", {"explorationRate": rate})
    oldest = "UPDATE audit SET at = now() - interval '401 days' WHERE id = (SELECT min(id) FROM audit)"
    with system.services.engine.begin() as connection:
        connection.execute(text(oldest))
    retention.retain(system.services)
    assert len(entries(client)) == 1


def test_nobody_signs_as_tooloo_itself(client: FlaskClient) -> None:
    admin = {"Authorization": f"Bearer {ADMIN}"}
    names = (
        "optimizer",
        "Optimizer",
        " optimizer ",
        "\uff2fptimizer",
        "system-init",
        "System Recovery",
        "opti-mizer",
    )
    for name in names:
        for path, body, field in (
            ("/runtime-config", {"explorationRate": 0.2, "updatedBy": name}, "updatedBy"),
            ("/keys", {"name": name, "scopes": ["admin"]}, "name"),
        ):
            refused = client.post(f"{SYSTEM}{path}", json=body, headers=admin)
            assert (refused.status_code, refused.get_json()["error"]["field"]) == (400, field), name
    assert send(client, "POST", "/runtime-config", {"explorationRate": 0.2, "updatedBy": "my-optimizer"})
