"""A key traded for a session: what the cookie opens, for how long, and what it does not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from app import bootstrap
from app.access import sessions
from app.access.sessions import Ended
from app.api import auth, create_app
from app.api.auth import Guard
from tests.support.system import System, build

ADMIN, READER = "root-key", "reader-key"
#: a Redis that is away
NOWHERE = redis.Redis(unix_socket_path="/nowhere/redis.sock")
KEYS = {"TOOLOO_ADMIN_KEY": ADMIN, "TOOLOO_API_KEY": READER}


@contextmanager
def api(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


@pytest.fixture
def locked(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[System]:
    made = build(database_url, redis_url, tmp_path, KEYS)
    yield made
    made.close()


@pytest.fixture
def client(locked: System) -> Iterator[FlaskClient]:
    with api(locked) as made:
        yield made


def sign_in(client: FlaskClient, key: str, **more: Any) -> Any:
    client.delete_cookie("tooloo_session")
    form = client.get("/sign-in").get_data(as_text=True)
    token = re.search(r'name="form" value="([^"]+)"', form)
    assert token is not None
    return client.post("/sign-in", data={"key": key, "form": token[1], **more.pop("data", {})}, **more)


def csrf(client: FlaskClient) -> str:
    found = re.search(r'data-csrf="([^"]+)"', client.get("/").get_data(as_text=True))
    assert found is not None
    return found[1]


def write(client: FlaskClient, **headers: str) -> int:
    return client.post("/api/v1/system/runtime-config", json={"explorationRate": 0.1}, headers=headers).status_code


def test_a_page_asks_for_a_key_and_comes_back(client: FlaskClient) -> None:
    away = client.get("/?range=7d")
    assert (away.status_code, away.headers["Location"]) == (303, "/sign-in?next=/%3Frange%3D7d")
    assert client.get("/api/v1/system/scorecard").status_code == 401
    form = sign_in(client, ADMIN, data={"next": "/?range=7d"})
    assert (form.status_code, form.headers["Location"]) == (303, "/?range=7d")
    assert client.get("/").status_code == 200


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(client: FlaskClient) -> None:
    cookie = next(
        line for line in sign_in(client, ADMIN).headers.getlist("Set-Cookie") if line.startswith("tooloo_session")
    )
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert ADMIN not in cookie


def test_behind_https_the_cookie_is_secure(client: FlaskClient) -> None:
    answer = sign_in(client, ADMIN, base_url="https://localhost")
    assert all("Secure" in line for line in answer.headers.getlist("Set-Cookie") if "Expires" not in line)


@pytest.mark.parametrize(
    "where", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:x", "/\nx"]
)
def test_a_link_leads_nowhere_else(client: FlaskClient, where: str) -> None:
    assert sign_in(client, ADMIN, data={"next": where}).headers["Location"] == "/"


def test_what_is_no_key_opens_nothing(client: FlaskClient) -> None:
    assert sign_in(client, "wrong").status_code == 401
    assert sign_in(client, "tooloo_0123_wrong").status_code == 401
    assert client.get("/").status_code == 303


def test_a_form_of_another_site_signs_nobody_in(client: FlaskClient) -> None:
    assert client.post("/sign-in", data={"key": ADMIN, "form": "mine"}).status_code == 403
    assert client.post("/sign-in", data={"key": ADMIN}).status_code == 403


def test_a_write_needs_the_token_of_its_session(client: FlaskClient) -> None:
    sign_in(client, ADMIN)
    token = csrf(client)
    assert write(client) == 403
    assert write(client, **{"X-CSRF-Token": "x" + token[1:]}) == 403
    assert write(client, **{"X-CSRF-Token": token}) == 200
    sign_in(client, ADMIN)
    assert write(client, **{"X-CSRF-Token": token}) == 403  # of the session before


def test_a_key_in_the_header_goes_before_the_cookie(client: FlaskClient) -> None:
    sign_in(client, ADMIN)
    assert write(client, Authorization=f"Bearer {READER}") == 403
    assert write(client, Authorization=f"Bearer {ADMIN}") == 200
    assert client.get("/api/v1/system/scorecard", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_scopes_of_the_key_are_those_of_the_session(client: FlaskClient) -> None:
    sign_in(client, READER)
    assert client.get("/api/v1/session").get_json()["data"]["scopes"] == ["chat", "read"]
    assert client.get("/api/v1/system/scorecard").status_code == 200
    assert write(client, **{"X-CSRF-Token": csrf(client)}) == 403


def test_no_cookie_counts_where_programs_call(client: FlaskClient) -> None:
    sign_in(client, ADMIN)
    assert client.get("/v1/models").status_code == 401
    by_hand = {"X-Tooloo-Passthrough": "1"}
    assert client.get("/v1/passthrough/openai/files", headers=by_hand).status_code == 401


def test_a_session_is_known_in_every_process_and_after_a_restart(client: FlaskClient, locked: System) -> None:
    sign_in(client, ADMIN)
    cookie = client.get_cookie("tooloo_session")
    assert cookie is not None
    with api(locked) as other:
        other.set_cookie("tooloo_session", cookie.value)
        assert other.get("/").status_code == 200


def test_sign_out_ends_the_session_in_every_process_also_for_a_copy(client: FlaskClient, locked: System) -> None:
    sign_in(client, ADMIN)
    cookie = client.get_cookie("tooloo_session")
    assert cookie is not None
    assert client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
    assert client.post("/sign-out", data={"csrf": csrf(client)}).headers["Location"] == "/sign-in"
    assert client.get_cookie("tooloo_session") is None
    with api(locked) as other:
        other.set_cookie("tooloo_session", cookie.value)
        assert other.get("/api/v1/session").status_code == 401


def test_a_session_ends_with_its_key(client: FlaskClient, locked: System) -> None:
    as_admin = {"Authorization": f"Bearer {ADMIN}"}
    made = client.post("/api/v1/system/keys", json={"name": "ann", "scopes": ["read"]}, headers=as_admin).get_json()[
        "data"
    ]
    sign_in(client, made["key"])
    assert client.get("/api/v1/session").get_json()["data"]["name"] == "ann"
    client.delete(f"/api/v1/system/keys/{made['id']}", json={}, headers=as_admin)
    assert client.get("/api/v1/session").status_code == 401
    assert client.get("/").status_code == 303


def test_a_session_ends_with_the_time_of_its_key(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = int(time.time() * 1000) + 60_000
    wanted = {"name": "ann", "scopes": ["read"], "expiresAt": ends}
    as_admin = {"Authorization": f"Bearer {ADMIN}"}
    made = client.post("/api/v1/system/keys", json=wanted, headers=as_admin).get_json()["data"]
    sign_in(client, made["key"])
    assert client.get("/").status_code == 200
    monkeypatch.setattr(auth.time, "time", lambda: ends / 1000)
    assert client.get("/api/v1/session").status_code == 401
    again = sign_in(client, made["key"])
    assert again.status_code == 401
    assert f"({made['id']}) expired at" in again.get_data(as_text=True)


def test_nobody_is_signed_out_by_halves_while_redis_is_away(
    client: FlaskClient, locked: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client, ADMIN)
    token, cookie = csrf(client), client.get_cookie("tooloo_session")
    assert cookie is not None
    with api(locked) as other:
        other.set_cookie("tooloo_session", cookie.value)
        with monkeypatch.context() as away:
            for each in (client, other):
                away.setattr(ended(each), "_redis", NOWHERE)
            refused = client.post("/sign-out", data={"csrf": token})
            assert refused.status_code == 503
            assert "still signed in" in refused.get_data(as_text=True)
            assert {each.get("/api/v1/session").status_code for each in (client, other)} == {200}
        assert client.post("/sign-out", data={"csrf": token}).status_code == 303
        assert other.get("/api/v1/session").status_code == 401


def test_who_was_signed_out_stays_so_in_every_process_when_redis_goes_away(
    client: FlaskClient, locked: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client, READER)
    cookie = client.get_cookie("tooloo_session")
    assert cookie is not None
    client.post("/sign-out", data={"csrf": csrf(client)})
    with api(locked) as other:
        sign_in(other, READER)
        assert other.get("/").status_code == 200  # of another session: this process has never met the first
        monkeypatch.setattr(ended(other), "_redis", NOWHERE)
        other.set_cookie("tooloo_session", cookie.value)
        assert other.get("/api/v1/session").status_code == 401


def ended(client: FlaskClient) -> Ended:
    guard: Guard = client.application.extensions["tooloo.guard"]
    return guard.ended


def test_a_session_ends_when_the_keys_of_the_environment_change(
    client: FlaskClient, locked: System, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    sign_in(client, READER)
    cookie = client.get_cookie("tooloo_session")
    assert cookie is not None
    changed = replace(
        locked, services=replace(locked.services, settings=replace(locked.services.settings, admin_key="n"))
    )
    with api(changed) as other:
        other.set_cookie("tooloo_session", cookie.value)
        assert other.get("/api/v1/session").status_code == 401


def test_a_session_ends_in_time(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LIFE_S", -1)
    sign_in(client, ADMIN)
    assert client.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize("spoilt", ["", ".", "x.y", "e30.", "WyJ4Il0.x", "W1tbW10.x", "ü", "a" * 2000, "WzEsMiwzXQ.x"])
def test_what_is_no_session_opens_nothing(client: FlaskClient, spoilt: str) -> None:
    client.set_cookie("tooloo_session", spoilt)
    assert client.get("/api/v1/session").status_code == 401
    assert client.get("/").status_code == 303


def test_nobody_makes_a_session_of_anothers_key_from_their_own(client: FlaskClient) -> None:
    session = sessions.begin("TOOLOO_ADMIN_KEY", 2e9)
    client.set_cookie("tooloo_session", sessions.seal(session, sessions.signer(None, None, "0" * 64)))
    assert client.get("/api/v1/session").status_code == 401


def test_a_key_that_may_only_chat_is_told_so(client: FlaskClient) -> None:
    made = client.post(
        "/api/v1/system/keys", json={"name": "bot", "scopes": ["chat"]}, headers={"Authorization": f"Bearer {ADMIN}"}
    ).get_json()["data"]
    answer = sign_in(client, made["key"])
    assert answer.status_code == 403
    assert "may not read" in answer.get_data(as_text=True)


def test_without_keys_no_sign_in_is_asked_for(system: System) -> None:
    with api(system) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "Sign out" not in page.get_data(as_text=True)
        assert page.headers["Cache-Control"] == "no-store"
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]


def test_under_a_path_prefix_links_cookie_and_ways_back_have_it(locked: System) -> None:
    settings = replace(locked.services.settings, path_prefix="/llm")
    with api(replace(locked, services=replace(locked.services, settings=settings))) as client:
        assert client.get("/llm/").headers["Location"] == "/llm/sign-in?next=/"
        form = client.get("/llm/sign-in").get_data(as_text=True)
        token = re.search(r'name="form" value="([^"]+)"', form)
        assert token is not None
        assert set(re.findall(r'(?:href|src|action)="(/[^"]*)"', form)) - {"#main"} != set()
        assert all(path.startswith("/llm/") for path in re.findall(r'(?:href|src|action)="(/[^"]*)"', form))
        answer = client.post("/llm/sign-in", data={"key": ADMIN, "form": token[1], "next": "/"})
        assert answer.headers["Location"] == "/llm/"
        assert "Path=/llm" in answer.headers["Set-Cookie"]
        with client.get("/llm/web/style.css") as style:
            assert style.status_code == 200
        assert client.get("/healthz").status_code == 200  # beside the proxy


@pytest.mark.parametrize(("trusted", "location"), [(0, "/sign-in?next=/"), (1, "/gw/sign-in?next=/")])
def test_what_a_proxy_says_counts_where_there_is_one(locked: System, trusted: int, location: str) -> None:
    settings = replace(locked.services.settings, trusted_proxies=trusted)
    with api(replace(locked, services=replace(locked.services, settings=settings))) as client:
        said = {"X-Forwarded-Prefix": "/gw", "X-Forwarded-Proto": "https"}
        assert client.get("/", headers=said).headers["Location"] == location
        assert ("Secure" in client.get("/sign-in", headers=said).headers["Set-Cookie"]) == bool(trusted)


def test_who_follows_a_link_from_a_mail_is_looked_at_again_from_here(client: FlaskClient) -> None:
    away = client.get("/config").headers["Location"]
    again = client.get(away).get_data(as_text=True)
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', again)
    assert found is not None
    form = client.get(found[1].replace("&amp;", "&")).get_data(as_text=True)
    assert 'name="next" value="/config"' in form
