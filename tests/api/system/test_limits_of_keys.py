"""Limits of keys over HTTP: set, changed, shown, held to, and told in the words of each protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import bootstrap
from app.api import create_app
from app.bootstrap import Running
from app.errors import StreamCut
from tests.support.system import System, answer
from tests.support.waiting import wait_until

KEYS = "/api/v1/system/keys"
MESSAGES = [{"role": "user", "content": "Hello"}]
#: of a fake answer
COST = 0.001


@dataclass
class Api:
    client: FlaskClient
    running: Running
    system: System

    def key(self, **wanted: Any) -> dict[str, Any]:
        made = self.client.post(KEYS, json={"name": "a test", "scopes": ["chat"], **wanted})
        assert made.status_code == 201, made.text
        return dict(made.get_json()["data"])

    def change(self, key: dict[str, Any], **wanted: Any) -> TestResponse:
        return self.client.patch(f"{KEYS}/{key['id']}", json=wanted)

    def shown(self, key: dict[str, Any]) -> dict[str, Any]:
        listed = self.client.get(KEYS).get_json()["data"]["keys"]
        return next(each for each in listed if each["id"] == key["id"])

    def chat(self, key: dict[str, Any], path: str = "/v1/chat/completions", **body: Any) -> TestResponse:
        sent = {"model": "auto", "messages": MESSAGES, "max_tokens": 100, **body}
        if path.startswith("/api"):
            sent = {"message": "Hello"} | body
        sent = {name: value for name, value in sent.items() if value is not None}
        # buffered: read to its end and closed, as a server does it
        return self.client.post(path, json=sent, headers={"Authorization": f"Bearer {key['key']}"}, buffered=True)


@pytest.fixture
def api(system: System) -> Iterator[Api]:
    running = bootstrap.start(system.services, seed=1)
    yield Api(create_app(running).test_client(), running, system)
    running.stop()


def test_limits_are_shown_as_they_were_set_and_change_without_a_new_secret(api: Api) -> None:
    budget = {"dayUsd": 1.5, "monthUsd": 20, "zone": "Europe/Zurich", "hard": True}
    limits = {"ratePerMinute": 60, "tokensPerMinute": 90_000, "inFlight": 4, "budget": budget, "models": ["openai"]}
    key = api.key(**limits)
    assert {name: key[name] for name in limits} == limits
    assert {name: api.shown(key)[name] for name in limits} == limits

    changed = api.change(key, ratePerMinute=None, budget={"dayUsd": 2}, segment="free")

    assert changed.status_code == 200, changed.text
    expected = limits | {
        "ratePerMinute": None,
        "budget": {"dayUsd": 2.0, "monthUsd": None, "zone": "UTC", "hard": True},
        "segment": "free",
    }
    assert {name: api.shown(key)[name] for name in expected} == expected
    assert {name: changed.get_json()["data"][name] for name in expected} == expected
    assert "hash" not in changed.get_json()["data"]
    assert api.chat(key).status_code == 200
    assert api.change(key, models=None, tokensPerMinute=None, budget=None, inFlight=None).status_code == 200
    assert (api.shown(key)["models"], api.shown(key)["used"]) == ([], None)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"budget": {}}, "budget"),
        ({"budget": {"dayUsd": 0}}, "budget.dayUsd"),
        ({"budget": {"dayUsd": -1}}, "budget.dayUsd"),
        ({"budget": {"dayUsd": 1e300}}, "budget.dayUsd"),
        ({"budget": {"monthUsd": "much"}}, "budget.monthUsd"),
        ({"budget": {"dayUsd": 1, "zone": "Mars/Base"}}, "budget.zone"),
        ({"budget": {"dayUsd": 1, "weekUsd": 5}}, "budget.weekUsd"),
        ({"tokensPerMinute": 0}, "tokensPerMinute"),
        ({"inFlight": 0}, "inFlight"),
        ({"inFlight": 1.5}, "inFlight"),
        ({"ratePerMinute": True}, "ratePerMinute"),
        ({"models": ["openai", "gpt-99"]}, "models.1"),
        ({"models": ["openai/gpt-99"]}, "models.0"),
        ({"models": [""]}, "models.0"),
        ({"models": ["openai"] * 51}, "models"),
        ({"name": "other"}, "name"),
        ({}, None),
    ],
)
def test_a_limit_that_is_none_is_refused_by_its_field(api: Api, wanted: dict[str, Any], field: str | None) -> None:
    answered = api.change(api.key(), **wanted)
    assert (answered.status_code, answered.get_json()["error"].get("field")) == (400, field)


def test_a_key_that_is_not_there_or_revoked_is_not_changed(api: Api) -> None:
    key = api.key()
    assert api.client.patch(f"{KEYS}/nobody", json={"inFlight": 1}).status_code == 404
    api.client.delete(f"{KEYS}/{key['id']}", json={})
    assert api.change(key, inFlight=1).status_code == 409


PROTOCOLS = ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/v1/chat"]


@pytest.mark.parametrize("path", PROTOCOLS)
def test_a_spent_budget_is_told_in_the_words_of_the_protocol(api: Api, path: str) -> None:
    key = api.key(budget={"dayUsd": 0.5})
    key_id = key["id"]
    api.system.client.behaviours = dict.fromkeys(
        ("deepseek", "gemini", "anthropic", "openai"), lambda *_: answer(cost_usd=0.6)
    )
    of_responses = {"messages": None, "max_tokens": None, "input": "Hello", "max_output_tokens": 100}
    body: dict[str, Any] = of_responses if path == "/v1/responses" else {}

    def ask() -> TestResponse:
        return api.chat(key, path, **body)

    assert ask().status_code == 200
    wait_until(lambda: api.shown({"id": key_id})["used"]["dayUsd"] == 0.6)

    refused = ask()

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    error = refused.get_json()["error"]
    assert "0.6 USD are spent" in error["message"]
    assert error.get("code", error.get("type")) == {
        "/v1/messages": "rate_limit_error",
        "/api/v1/chat": "budget_spent",
    }.get(path, "insufficient_quota")
    assert refused.headers.get("x-should-retry") == (None if path.startswith("/api") else "false")
    assert api.shown(key)["used"]["dayLeftUsd"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_answer_cost_is_what_is_left_less(api: Api, stream: bool) -> None:
    key = api.key(budget={"dayUsd": 1, "monthUsd": 5}, tokensPerMinute=100_000)
    assert api.chat(key, stream=stream).status_code == 200

    wait_until(lambda: api.shown(key)["used"]["inFlight"] == 0)
    used = api.shown(key)["used"]

    assert (used["dayUsd"], used["monthUsd"], used["reservedUsd"]) == (COST, COST, 0)
    assert (used["tokensThisMinute"], used["requestsThisMinute"]) in {(30, 1), (0, 0)}  # a minute may have ended
    assert (used["dayLeftUsd"], used["monthLeftUsd"]) == (1 - COST, 5 - COST)


def test_a_stream_that_nobody_reads_to_its_end_gives_back_what_was_reserved(api: Api) -> None:
    key = api.key(budget={"dayUsd": 1}, inFlight=1)
    answered = api.client.post(
        "/v1/chat/completions",
        json={"model": "auto", "messages": MESSAGES, "stream": True},
        headers={"Authorization": f"Bearer {key['key']}"},
        buffered=False,
    )
    next(iter(answered.response))
    answered.close()
    wait_until(lambda: api.shown(key)["used"]["inFlight"] == 0)
    assert api.shown(key)["used"]["reservedUsd"] == 0


def test_a_request_that_every_provider_fails_gives_everything_back(api: Api) -> None:
    def broken(*_: object) -> Any:
        raise StreamCut("gone")

    api.system.client.behaviours = dict.fromkeys(("deepseek", "gemini", "anthropic", "openai"), broken)
    key = api.key(budget={"dayUsd": 1})
    assert api.chat(key).status_code == 502
    wait_until(lambda: api.shown(key)["used"]["inFlight"] == 0)
    assert (api.shown(key)["used"]["dayUsd"], api.shown(key)["used"]["reservedUsd"]) == (0, 0)


def test_a_soft_budget_warns(api: Api) -> None:
    key = api.key(budget={"dayUsd": COST / 2, "hard": False})
    assert "x-tooloo-budget-warning" not in api.chat(key).headers
    wait_until(lambda: api.shown(key)["used"]["dayUsd"] == COST)

    warned = api.chat(key)

    assert warned.status_code == 200
    assert warned.headers["x-tooloo-budget-warning"] == "0.001 of 0.0005 USD a day (UTC)"
    needs = api.client.get("/api/v1/system/attention").get_json()["data"]
    assert [(each["severity"], each["subject"]) for each in needs if each["kind"] == "budget_spent"] == [
        ("warning", f"a test ({key['id']})")
    ]


def test_what_is_left_stands_in_the_headers_of_each_protocol(api: Api) -> None:
    key = api.key(ratePerMinute=1000, tokensPerMinute=1_000_000, scopes=["chat", "read"])

    openai = api.chat(key).headers
    assert (openai["x-ratelimit-limit-requests"], openai["x-ratelimit-limit-tokens"]) == ("1000", "1000000")
    assert 990 < int(openai["x-ratelimit-remaining-requests"]) < 1000
    assert int(openai["x-ratelimit-remaining-tokens"]) == 1_000_000 - 102
    assert openai["x-ratelimit-reset-requests"].endswith("s")

    anthropic = api.chat(key, "/v1/messages").headers
    assert anthropic["anthropic-ratelimit-requests-limit"] == "1000"
    assert 990 < int(anthropic["anthropic-ratelimit-tokens-remaining"].rjust(7, "0")) <= 1_000_000
    assert anthropic["anthropic-ratelimit-requests-reset"].endswith("Z")

    own = api.client.get("/api/v1/system/scorecard", headers={"Authorization": f"Bearer {key['key']}"}).headers
    assert (own["RateLimit-Limit"], own["RateLimit-Limit-Tokens"]) == ("1000", "1000000")


def test_a_key_without_limits_is_told_none(api: Api) -> None:
    assert not [name for name, _ in api.chat(api.key()).headers if "ratelimit" in name.lower()]


def test_an_answer_may_not_be_longer_than_the_tokens_of_a_minute(api: Api) -> None:
    refused = api.chat(api.key(tokensPerMinute=150), max_tokens=200)
    assert (refused.status_code, refused.get_json()["error"]["param"]) == (400, "max_tokens")
    assert not api.system.client.calls


def test_a_key_calls_nothing_but_its_models(api: Api) -> None:
    key = api.key(models=["gemini", "openai/gpt-4.1-mini"])

    for _ in range(10):
        assert api.chat(key).status_code == 200
    assert {name for name, _ in api.system.client.calls} <= {"gemini", "openai"}

    refused = api.chat(key, model="deepseek")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (403, "model_not_allowed")
    assert "may use gemini, openai/gpt-4.1-mini alone" in refused.get_json()["error"]["message"]
    named = api.chat(key, "/v1/messages", model="anthropic")
    assert (named.status_code, named.get_json()["error"]["type"]) == (403, "permission_error")
    assert api.chat(key, "/api/v1/chat", provider="deepseek").status_code == 403
    assert api.chat(key, model="gemini").status_code == 200
    vectors = api.client.post(
        "/v1/embeddings",
        json={"model": "openai/text-embedding-3-small", "input": "a"},
        headers={"Authorization": f"Bearer {key['key']}"},
    )
    assert vectors.status_code == 403
    listed = api.client.get("/v1/models", headers={"Authorization": f"Bearer {key['key']}"}).get_json()["data"]
    assert {each["id"].partition("/")[0].partition(":")[0] for each in listed} == {"auto", "gemini", "openai"}


def test_a_target_that_fails_is_not_followed_by_one_that_the_key_may_not_use(api: Api) -> None:
    def broken(*_: object) -> Any:
        raise StreamCut("gone")

    api.system.client.behaviours = {"gemini": broken}
    assert api.chat(api.key(models=["gemini"])).status_code == 502
    assert {name for name, _ in api.system.client.calls} == {"gemini"}


def test_the_key_of_the_environment_has_limits_too(database_url: str, redis_url: str, tmp_path: Any) -> None:
    from tests.support.system import build

    limits = '{"ratePerMinute": 2, "models": ["openai"]}'
    keys = {"TOOLOO_ADMIN_KEY": "an-admin-key-of-a-test", "TOOLOO_API_KEY": "an-api-key-for-the-test"}
    system = build(database_url, redis_url, tmp_path, {**keys, "TOOLOO_API_KEY_LIMITS": limits})
    running = bootstrap.start(system.services, seed=1)
    api = Api(create_app(running).test_client(), running, system)
    key = {"key": "an-api-key-for-the-test"}

    statuses = [api.chat(key).status_code for _ in range(5)]

    assert statuses.count(429) in {1, 3}  # a minute may end between
    assert {name for name, _ in system.client.calls} == {"openai"}
    assert api.chat({"key": "an-admin-key-of-a-test"}, model="deepseek").status_code == 200
    running.stop()
    system.close()


def test_the_page_shows_what_is_left(api: Api) -> None:
    key = api.key(budget={"dayUsd": 1, "zone": "Europe/Zurich"}, tokensPerMinute=5000, models=["openai"])
    assert api.chat(key).status_code == 200
    wait_until(lambda: api.shown(key)["used"]["dayUsd"] == COST)
    page = api.client.get("/keys").text
    for shown in ("$0.999", "left of $1", "Europe/Zurich", "5,000 tokens", "openai"):
        assert shown in page, shown


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/chat/completions", "max_tokens"),
        ("/v1/chat/completions", "max_completion_tokens"),
        ("/v1/messages", "max_tokens"),
        ("/v1/completions", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
    ],
)
def test_no_answer_is_asked_to_be_longer_than_any_can_be(api: Api, path: str, field: str) -> None:
    of_responses = {"messages": None, "max_tokens": None, "input": "Hello"} if path == "/v1/responses" else {}
    of_completions = {"messages": None, "prompt": "Hello"} if path == "/v1/completions" else {}
    for tokens in (10_000_001, 10**18, 2**63, 10**400):
        refused = api.chat(api.key(), path, **{**of_responses, **of_completions, field: tokens})
        assert refused.status_code == 400, refused.text
        assert field in refused.get_json()["error"]["message"]
    assert not api.system.client.calls
