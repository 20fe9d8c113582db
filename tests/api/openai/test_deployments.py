"""One model at several places: its name is asked for as if there were one, and the best place answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api import create_app
from app.domain.catalog import Target
from app.domain.outcome import Outcome, Source
from app.domain.routing.router import Route
from app.gateway import records
from app.gateway.calls import Call
from app.live import live_config
from app.providers.base import Message
from tests.support.upstreams import Upstreams, refused, streamed, upstreams

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
def up(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Upstreams]:
    with upstreams(database_url, redis_url, tmp_path, names={"one": "gpt-4o", "two": "gpt-4o"}) as running:
        yield running


@pytest.fixture
def client(up: Upstreams) -> FlaskClient:
    return create_app(up.running).test_client()


def ask(client: FlaskClient, model: str, path: str = "/v1/chat/completions", **more: Any) -> tuple[int, str]:
    answer = client.post(path, json={**ASK, "model": model, **more})
    return answer.status_code, answer.headers.get("x-tooloo-target", "").partition("/")[0]


def test_a_model_that_two_have_is_served_and_listed_once(client: FlaskClient, up: Upstreams) -> None:
    assert ask(client, "gpt-4o") == (200, "one")
    assert ask(client, "gpt-4o", "/v1/messages", max_tokens=5) == (200, "one")
    assert client.post("/api/v1/chat", json={"message": "x", "model": "gpt-4o"}).status_code == 200
    ids = [each["id"] for each in client.get("/v1/models").get_json()["data"]]

    assert ids.count("gpt-4o") == 1
    assert {"one/gpt-4o", "two/gpt-4o"} < set(ids)
    assert client.get("/v1/models/gpt-4o").status_code == 200
    assert up.calls() == {"one": 3, "two": 0, "three": 0}


def test_where_one_place_fails_the_other_answers_and_no_other_model(client: FlaskClient, up: Upstreams) -> None:
    up.servers["one"].answer = lambda _: refused(500)
    assert ask(client, "gpt-4o") == (200, "two")
    up.servers["two"].answer = lambda _: refused(500)

    assert ask(client, "gpt-4o")[0] >= 500
    assert up.calls()["three"] == 0


def test_a_stream_falls_over_as_well(client: FlaskClient, up: Upstreams) -> None:
    up.servers["one"].answer = lambda _: refused(500)
    up.servers["two"].answer = lambda _: streamed("a", "b")

    answer = client.post("/v1/chat/completions", json={**ASK, "model": "gpt-4o", "stream": True})
    assert answer.status_code == 200
    answer.close()
    assert (up.calls()["two"], up.calls()["three"]) == (1, 0)


def test_its_place_may_still_be_named(client: FlaskClient, up: Upstreams) -> None:
    assert ask(client, "two/gpt-4o") == (200, "two")
    up.servers["two"].answer = lambda _: refused(500)

    assert ask(client, "two/gpt-4o")[0] >= 500
    assert up.calls()["one"] == 0


def test_the_better_place_by_evidence_goes_first(client: FlaskClient, up: Upstreams) -> None:
    now, card = datetime.now(UTC), up.system.services.scorecard.value
    for target, took_ms in ((Target("one", "gpt-4o"), 9000.0), (Target("two", "gpt-4o"), 100.0)):
        seen = [Outcome(target, Source.LIVE, now, success=True, latency_ms=took_ms)] * 50
        card = card.observe(seen, up.system.services.policy)
    up.system.services.scorecard.value = card
    up.running.gateway._plans = (None, {})
    request = up.running.gateway.route(Call((Message("user", "x"),), model="gpt-4o"), stream=False)

    assert request.route.order == (Target("two", "gpt-4o"), Target("one", "gpt-4o"))
    assert [each.target for each in request.plan.candidates] == list(request.route.order)  # what explain shows
    assert ask(client, "gpt-4o") == (200, "two")


def test_a_place_that_is_switched_off_is_no_hindrance(client: FlaskClient, up: Upstreams) -> None:
    services = up.system.services
    live_config.update(
        services.sessions, services.redis, {"providers": {"one": {"enabled": False}}}, author="anna", reason="a test"
    )
    services.config.refresh(services.redis)

    assert ask(client, "gpt-4o") == (200, "two")


def test_what_was_drawn_among_some_targets_only_counts_as_not_drawn() -> None:
    route = Route((Target("one", "m"),), explored=False, propensity=0.5, reason="best")

    assert records._propensity(Call((), model="m"), route) is None
    assert records._propensity(Call(()), route) == 0.5


def test_what_the_lab_answers_beside_real_ones_is_labelled(client: FlaskClient, up: Upstreams) -> None:
    services = up.system.services
    two = services.endpoints["two"]
    lab = {**services.endpoints, "two": replace(two, provider=replace(two.provider, simulated=True))}
    up.running.gateway.services = replace(services, endpoints=lab)

    def simulated(model: str) -> bool:
        return bool(client.post("/api/v1/chat", json={"message": "x", "model": model}).get_json()["data"]["simulated"])

    assert (simulated("one/gpt-4o"), simulated("two/gpt-4o")) == (False, True)
    candidates = client.get("/api/v1/system/scorecard").get_json()["data"]["candidates"]
    assert {each["provider"] for each in candidates if each.get("simulated")} == {"two"}
