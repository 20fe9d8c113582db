"""Stored API keys over HTTP: who may make them, what they open, and when they open nothing any more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import jsonify
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from app import bootstrap
from app.access import keys
from app.access.wrong_keys import DELAY_S, FREE
from app.api import auth, create_app
from app.api.auth import caller
from app.domain.keys import Scope
from tests.support.system import System, build
from tests.support.waiting import wait_until

SYSTEM = "/api/v1/system"
KEYS = f"{SYSTEM}/keys"
CHAT = "/api/v1/chat"


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    app = create_app(running)

    @app.get("/v1/whoami")
    def whoami() -> Any:
        who = caller()
        return jsonify({"id": who.id, "name": who.name, "scopes": sorted(who.scopes), "segment": who.segment})

    yield app.test_client()
    running.stop()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def made(client: FlaskClient, *scopes: str, admin: str | None = None, **other: Any) -> dict[str, Any]:
    body = {"name": "a test", "scopes": list(scopes), **other}
    response = client.post(KEYS, json=body, headers=bearer(admin) if admin else {})
    assert response.status_code == 201, response.text
    return dict(response.get_json()["data"])


def tried(client: FlaskClient, key: str) -> dict[str, int]:
    """Status of a read, a chat and a write with this key."""
    headers = bearer(key)

    def status(response: TestResponse) -> int:
        return response.status_code

    return {
        "read": status(client.get(f"{SYSTEM}/runtime-config", headers=headers)),
        "chat": status(client.post(CHAT, json={"message": "hello"}, headers=headers)),
        "write": status(client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0.1}, headers=headers)),
        "keys": status(client.get(KEYS, headers=headers)),
    }


def test_a_key_opens_what_its_scopes_say(client: FlaskClient) -> None:
    opened = {scope: tried(client, made(client, scope)["key"]) for scope in ("read", "chat")}
    opened["admin"] = tried(client, made(client, "admin")["key"])

    assert opened == {
        "read": {"read": 200, "chat": 403, "write": 403, "keys": 403},
        "chat": {"read": 403, "chat": 200, "write": 403, "keys": 403},
        "admin": {"read": 200, "chat": 200, "write": 200, "keys": 200},
    }


def test_on_loopback_no_key_is_needed_until_there_is_one_for_admins(client: FlaskClient) -> None:
    chat = made(client, "chat")
    assert client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0.2}).status_code == 200

    admin = made(client, "admin")["key"]

    assert client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0.3}).status_code == 401
    assert client.post(CHAT, json={"message": "hello"}).status_code == 401
    assert client.post(KEYS, json={"name": "x", "scopes": ["admin"]}).status_code == 401
    assert client.get("/healthz").status_code == 200
    assert client.delete(f"{KEYS}/{chat['id']}", json={}, headers=bearer(admin)).status_code == 200


def test_a_wrong_key_is_refused_also_where_none_is_needed(client: FlaskClient) -> None:
    key = made(client, "read")["key"]

    for wrong in (key[:-1], key + "x", key.replace("tooloo_", "tooloo_0"), "tooloo__", "tooloo_é_x"):
        response = client.get(f"{SYSTEM}/runtime-config", headers={"X-API-Key": wrong})
        assert response.status_code == 401, wrong


def test_a_revoked_key_is_refused_by_every_process(
    client: FlaskClient, system: System, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    other = build(database_url, redis_url, tmp_path)
    running = bootstrap.start(other.services)
    elsewhere = create_app(running).test_client()
    key = made(client, "read")

    def status() -> int:
        return elsewhere.get(f"{SYSTEM}/runtime-config", headers=bearer(key["key"])).status_code

    wait_until(lambda: status() == 200)
    client.delete(f"{KEYS}/{key['id']}", json={})
    wait_until(lambda: status() == 401)

    assert client.get(f"{SYSTEM}/runtime-config", headers=bearer(key["key"])).status_code == 401
    running.stop()
    other.close()


def test_the_list_shows_every_key_and_no_secret(client: FlaskClient) -> None:
    first, second = made(client, "chat", segment="free", ratePerMinute=60), made(client, "read")
    client.delete(f"{KEYS}/{first['id']}", json={})

    listed = client.get(KEYS)

    by_id = {key["id"]: key for key in listed.get_json()["data"]["keys"]}
    assert (by_id[first["id"]]["segment"], by_id[first["id"]]["ratePerMinute"]) == ("free", 60)
    assert by_id[first["id"]]["revokedAt"] is not None
    assert by_id[second["id"]]["revokedAt"] is None
    assert not any(secret in listed.text for secret in (first["key"], first["key"].split("_")[2], "hash"))


def test_a_key_is_kept_nowhere_but_as_a_hash(client: FlaskClient, system: System) -> None:
    secret = made(client, "chat")["key"].split("_", 2)[2]

    with system.services.engine.connect() as connection:
        rows = str(connection.execute(text("SELECT * FROM api_keys")).all())
    published = str(system.services.redis.hgetall("tooloo:keys"))

    assert secret not in rows
    assert secret not in published


def test_a_key_is_refused_from_its_end_on_and_says_when_that_was(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = int(time.time() * 1000) + 3_600_000
    key = made(client, "read", expiresAt=ends)
    assert key["expiresAt"] == ends
    assert client.get(KEYS).get_json()["data"]["keys"][0]["expiresAt"] == ends
    assert client.get(f"{SYSTEM}/scorecard", headers=bearer(key["key"])).status_code == 200

    monkeypatch.setattr(auth.time, "time", lambda: ends / 1000)

    refused = client.get(f"{SYSTEM}/scorecard", headers=bearer(key["key"]))
    at = datetime.fromtimestamp(ends / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (401, "unauthorized")
    assert f"the key 'a test' ({key['id']}) expired at {at}" in refused.get_json()["error"]["message"]
    assert client.get("/v1/models", headers=bearer(key["key"])).status_code == 401


def test_an_expired_admin_key_opens_nothing_to_everybody(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = int(time.time() * 1000) + 3_600_000
    made(client, "admin", expiresAt=ends)
    monkeypatch.setattr(auth.time, "time", lambda: ends / 1000)
    assert client.get(f"{SYSTEM}/scorecard").status_code == 401


@pytest.mark.parametrize("ends", [1, 10**15, -1, "tomorrow", 1.5, True])
def test_an_end_that_is_none_is_refused_by_its_field(client: FlaskClient, ends: object) -> None:
    answer = client.post(KEYS, json={"name": "a", "scopes": ["chat"], "expiresAt": ends})
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (400, "expiresAt")


def test_the_last_admin_is_not_revoked_by_accident_and_keys_stay_needed(client: FlaskClient) -> None:
    first, last = made(client, "admin"), None
    last = made(client, "admin", admin=first["key"])
    own = bearer(last["key"])
    assert client.delete(f"{KEYS}/{first['id']}", json={}, headers=own).status_code == 200

    refused = client.delete(f"{KEYS}/{last['id']}", json={}, headers=own)

    assert (refused.status_code, refused.get_json()["error"]["code"]) == (409, "conflict")
    assert "TOOLOO_ADMIN_KEY" in refused.get_json()["error"]["message"]
    assert client.get(KEYS, headers=own).status_code == 200

    assert client.delete(f"{KEYS}/{last['id']}", json={"last": True}, headers=own).status_code == 200
    for headers in ({}, own):
        assert client.get(f"{SYSTEM}/scorecard", headers=headers).status_code == 401
        assert client.post(KEYS, json={"name": "x", "scopes": ["admin"]}, headers=headers).status_code == 401


def test_keys_stay_needed_also_in_a_process_that_starts_afterwards(client: FlaskClient, system: System) -> None:
    services = system.services
    admin = made(client, "admin")
    assert client.delete(f"{KEYS}/{admin['id']}", json={"last": True}, headers=bearer(admin["key"])).status_code == 200
    for _ in range(2):
        fresh = keys.live(services.sessions)
        fresh.refresh(services.redis)
        assert fresh.value.has_admin
        services.redis.flushall()
        keys.recover(services.sessions, services.redis)


def test_an_admin_whose_time_is_soon_over_counts_until_then(client: FlaskClient, system: System) -> None:
    lasting = made(client, "admin")
    own = bearer(lasting["key"])
    ending = made(client, "admin", admin=lasting["key"], expiresAt=int(time.time() * 1000) + 3_600_000)
    with system.services.engine.begin() as connection:
        connection.execute(
            text("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = :id"), {"id": ending["id"]}
        )
    assert client.delete(f"{KEYS}/{lasting['id']}", json={}, headers=own).status_code == 409


def test_wrong_keys_are_answered_more_slowly_and_a_right_one_never(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = made(client, "admin")["key"]
    waited: list[float] = []
    guard = client.application.extensions["tooloo.guard"]
    monkeypatch.setattr(guard.wrong, "_wait", waited.append)

    def status(key: str) -> int:
        return client.get(f"{SYSTEM}/scorecard", headers=bearer(key)).status_code

    assert {status(f"wrong-{number}") for number in range(FREE + 2)} == {401}
    assert waited == [DELAY_S] * 2
    assert status(admin) == 200
    assert client.get(f"{SYSTEM}/scorecard").status_code == 401
    assert len(waited) == 2


def test_a_view_knows_whose_request_it_serves(client: FlaskClient) -> None:
    key = made(client, "chat", segment="free")

    with_key = client.get("/v1/whoami", headers=bearer(key["key"])).get_json()
    without = client.get("/v1/whoami").get_json()

    assert with_key == {"id": key["id"], "name": "a test", "scopes": ["chat"], "segment": "free"}
    assert (without["id"], without["segment"]) == (None, None)


def test_history_says_which_key_made_a_change(client: FlaskClient) -> None:
    key = made(client, "admin")

    client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0.2}, headers=bearer(key["key"]))

    newest = client.get(f"{SYSTEM}/runtime-config/history/2", headers=bearer(key["key"])).get_json()["data"]
    assert (newest["author"], newest["evidence"]) == ("a test", {"key": key["id"]})


def test_a_key_over_its_rate_is_told_when_to_come_back(client: FlaskClient) -> None:
    key = made(client, "read", ratePerMinute=3)["key"]

    # a minute of the clock may end in between, and the count begins anew: of eight, two minutes let six pass
    responses = [client.get(f"{SYSTEM}/scorecard", headers=bearer(key)) for _ in range(8)]

    refused = [response for response in responses if response.status_code == 429]
    assert responses[0].status_code == 200
    assert len(refused) in {2, 5}
    assert responses[0].headers["RateLimit-Limit"] == "3"
    assert refused[0].headers["RateLimit-Remaining"] == "0"
    assert refused[0].headers["RateLimit-Reset"] == refused[0].headers["Retry-After"]
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert refused[0].get_json()["error"]["code"] == "too_many_requests"


def test_a_wrong_wish_for_a_key_is_refused_by_the_name_of_its_field(client: FlaskClient) -> None:
    for body, field in [
        ({"scopes": ["chat"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes.0"),
        ({"name": "x", "scopes": ["chat"], "ratePerMinute": 0}, "ratePerMinute"),
        ({"name": "x", "scopes": ["chat"], "hash": "0"}, "hash"),
    ]:
        response = client.post(KEYS, json=body)
        assert (response.status_code, response.get_json()["error"]["field"]) == (400, field)
    assert client.delete(f"{KEYS}/nobody", json={}).status_code == 404


def test_keys_of_the_environment_and_stored_ones_work_side_by_side(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    system = build(database_url, redis_url, tmp_path, {"TOOLOO_ADMIN_KEY": "root", "TOOLOO_API_KEY": "old"})
    running = bootstrap.start(system.services)
    client = create_app(running).test_client()

    stored = made(client, "chat", admin="root")["key"]

    assert tried(client, stored)["chat"] == 200
    assert tried(client, "old") == {"read": 200, "chat": 200, "write": 403, "keys": 403}
    assert set(tried(client, "root").values()) == {200}
    assert set(tried(client, "rooT").values()) == {401}
    running.stop()
    system.close()


def test_keys_work_on_while_postgres_is_away_and_are_not_guessed_at_without_both(
    client: FlaskClient, redis_url: str, tmp_path: Path
) -> None:
    key = made(client, "read")["key"]
    nowhere = f"postgresql+psycopg2://postgres@/nothing?host={tmp_path}"
    statuses = {}
    for name, url in {"redis alone": redis_url, "neither": f"unix://{tmp_path}/no.sock"}.items():
        system = build(nowhere, url, tmp_path / name)
        running = bootstrap.start(system.services)
        without = create_app(running).test_client()
        statuses[name] = without.get(f"{SYSTEM}/runtime-config", headers=bearer(key)).status_code
        if name == "redis alone":
            assert without.post(KEYS, json={"name": "x", "scopes": ["chat"]}).status_code == 503
        running.stop()
        system.close()

    assert statuses == {"redis alone": 200, "neither": 503}


def test_a_redis_that_knows_keys_which_postgres_does_not_is_overruled(client: FlaskClient, system: System) -> None:
    services = system.services
    key = made(client, "read")
    with services.engine.begin() as connection:  # as when Postgres comes back from a backup
        connection.execute(text("TRUNCATE api_keys"))

    keys.recover(services.sessions, services.redis)
    services.keys.refresh(services.redis)
    assert client.get(f"{SYSTEM}/runtime-config", headers=bearer(key["key"])).status_code == 401

    made(client, "read")
    assert len(services.keys.value.by_id) == 1


def test_a_flushed_redis_gets_the_keys_back(client: FlaskClient, system: System) -> None:
    services = system.services
    key, _ = keys.create(services.sessions, services.redis, "x", frozenset({Scope.READ}), created_by="anna")

    services.redis.flushall()
    keys.recover(services.sessions, services.redis)

    fresh = keys.live(services.sessions)
    fresh.refresh(services.redis)
    assert fresh.value.by_id == {key.id: key}


@pytest.mark.parametrize(
    ("own", "header", "status", "sent"),
    [
        ("strict", None, 400, None),
        ("strict", "drop", 200, False),  # the request's own word goes first
        ("drop", "strict", 400, None),
        ("drop", None, 200, False),
        ("pass", None, 200, True),
        (None, None, 200, False),  # the default under auto
    ],
)
def test_a_key_says_what_becomes_of_unknown_fields(
    client: FlaskClient, system: System, own: str | None, header: str | None, status: int, sent: bool | None
) -> None:
    key = made(client, "chat", **({} if own is None else {"parameters": own}))
    assert key["parameters"] == own
    headers = bearer(key["key"]) | ({} if header is None else {"X-Tooloo-Parameters": header})
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "top_k": 5}
    answer = client.post("/v1/chat/completions", json=body, headers=headers)

    assert answer.status_code == status, answer.text
    if sent is not None:
        asked = system.client.calls[-1][1]
        assert (dict(asked.extra), asked.omitted) == (({"top_k": 5}, ()) if sent else ({}, ("top_k",)))
    listed = {each["id"]: each for each in client.get(KEYS).get_json()["data"]["keys"]}
    assert listed[key["id"]]["parameters"] == own


def test_a_word_that_is_none_is_refused_by_its_field(client: FlaskClient) -> None:
    answer = client.post(KEYS, json={"name": "a", "scopes": ["chat"], "parameters": "loose"})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["field"] == "parameters"
