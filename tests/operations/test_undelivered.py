"""An alert that its webhook does not take is said elsewhere: with its cure, until one is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app import bootstrap
from app.api import create_app
from app.operations import undelivered
from app.operations.alerts import Alerts
from app.operations.attention import UNDELIVERED, Item, Severity
from app.operations.webhook import Webhook
from app.services import Services
from app.store import database
from tests.operations.test_alerts import QUICK, REFUSED, SECRET, Receiver, all_look, look_until, processes
from tests.operations.test_attention import found, only
from tests.providers.server import Server
from tests.support.ports import free_port
from tests.support.rounds import run_round
from tests.support.system import System
from tests.support.waiting import wait_until

NOT_TAKEN = "alerts are not taken, they are tried again"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Server(lambda _: [b""]) as server:
        yield Receiver(server)


@pytest.fixture
def alerted(system: System, receiver: Receiver) -> System:
    """A system with a webhook, after a good round: nothing else needs a person."""
    run_round(system)
    return replace(system, services=with_webhook(system.services, receiver.url))


def with_webhook(services: Services, url: str) -> Services:
    configured = replace(services.settings, alert_url=url, alert_secret=SECRET)
    return replace(services, settings=configured, policy=replace(services.policy, alerts=QUICK))


def said(system: System) -> list[Item]:
    return [item for item in found(system) if item.kind == UNDELIVERED]


def test_it_is_said_while_it_is_so_and_no_longer(alerted: System, receiver: Receiver) -> None:
    receiver.status = 404
    running = processes(alerted.services, receiver, lambda: [REFUSED])
    look_until(running, lambda: bool(said(alerted)), "the item")

    item = only(found(alerted), UNDELIVERED)
    assert (item.severity, item.subject) == (Severity.WARNING, "webhook")
    assert item.text == "an alert was not taken by the server of TOOLOO_ALERT_URL: HTTP 404"
    assert "correct TOOLOO_ALERT_URL" in item.cure
    assert item.since is not None
    receiver.status = 200
    look_until(running, lambda: bool(receiver.taken), "it is taken")
    assert said(alerted) == []


def test_the_first_try_that_fails_says_nothing_yet(alerted: System, receiver: Receiver) -> None:
    slow = replace(alerted.services, policy=replace(alerted.services.policy, alerts=replace(QUICK, retry_s=60.0)))
    receiver.status = 503
    Alerts(slow, Webhook(receiver.url, SECRET), lambda: [REFUSED]).look()

    assert len(receiver.tried) == 1
    assert said(replace(alerted, services=slow)) == []


def test_it_is_told_to_no_webhook(alerted: System, receiver: Receiver) -> None:
    itself = Item(UNDELIVERED, Severity.WARNING, "webhook", None, "…", "…")
    all_look(processes(alerted.services, receiver, lambda: [itself]))

    assert receiver.tried == []


def test_what_was_given_up_is_said_until_another_one_is_taken(alerted: System, receiver: Receiver) -> None:
    hasty = replace(alerted.services, policy=replace(alerted.services.policy, alerts=replace(QUICK, give_up_s=0.0)))
    present = [REFUSED]
    receiver.status = 500
    running = [Alerts(hasty, Webhook(receiver.url, SECRET), lambda: list(present))]
    look_until(running, lambda: bool(said(alerted)), "the item")
    with database.transaction(alerted.services.sessions) as session:
        assert session.scalar(text("SELECT count(*) FROM alerts WHERE told_at IS NULL")) == 0
    for _ in range(3):
        all_look(running)
    assert len(said(alerted)) == 1
    receiver.status = 200
    present.append(replace(REFUSED, subject="another"))
    look_until(running, lambda: bool(receiver.taken), "another one is taken")

    assert said(alerted) == []


def test_another_one_that_is_taken_does_not_hide_one_that_still_is_not(alerted: System, receiver: Receiver) -> None:
    receiver.status = 400
    running = processes(alerted.services, receiver, lambda: [REFUSED], 1)
    look_until(running, lambda: bool(said(alerted)), "the item")
    receiver.status = 200
    other = replace(alerted.services, policy=replace(alerted.services.policy, alerts=QUICK))
    with database.transaction(other.sessions) as session:
        session.execute(text("UPDATE alerts SET next_try_at = now() + interval '1 hour'"))
    all_look(processes(other, receiver, lambda: [replace(REFUSED, subject="another")], 1))

    assert len(receiver.taken) == 1
    assert len(said(alerted)) == 1


def test_the_log_has_a_line_per_cause_and_not_per_try(alerted: System, receiver: Receiver) -> None:
    running = processes(alerted.services, receiver, lambda: [REFUSED], 1)
    with capture_logs() as logged:
        for status in (503, 403):
            receiver.status, tried = status, len(receiver.tried)
            look_until(running, lambda tried=tried: len(receiver.tried) >= tried + 3, "three tries")  # type: ignore[misc]  # mypy knows no type of a default

    lines = [line for line in logged if line["event"] == NOT_TAKEN]
    assert [line["reason"] for line in lines] == ["HTTP 503", "HTTP 403"]
    assert all("TOOLOO_ALERT" in line["cure"] for line in lines)


def test_without_a_webhook_any_more_nothing_is_said(alerted: System, receiver: Receiver) -> None:
    receiver.status = 404
    look_until(processes(alerted.services, receiver, lambda: [REFUSED]), lambda: bool(said(alerted)), "the item")
    without = replace(alerted.services, settings=replace(alerted.services.settings, alert_url=None))

    assert said(replace(alerted, services=without)) == []


def test_the_api_says_it_and_counts_it(system: System, receiver: Receiver) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/hook"
    policy = replace(system.services.policy.health, disk_free_mb=1e12)
    services = with_webhook(system.services, nobody)
    running = bootstrap.start(replace(services, policy=replace(services.policy, health=policy)), seed=1)
    client = create_app(running).test_client()

    def item() -> dict[str, str] | None:
        items = client.get("/api/v1/system/attention").get_json()["data"]
        return next((each for each in items if each["kind"] == UNDELIVERED), None)

    try:
        shown = wait_until(item, 20, "the item")
        metrics = client.get("/metrics").get_data(as_text=True)
    finally:
        running.stop()

    assert shown is not None
    assert shown["text"].endswith("TOOLOO_ALERT_URL: ConnectionError")
    assert shown["cure"] == "start the server of TOOLOO_ALERT_URL, or correct the name and port in it"
    assert "tooloo_alerts_undelivered 1.0" in metrics
    assert f'tooloo_attention{{kind="{UNDELIVERED}",severity="warning",subject="webhook"}} 1.0' in metrics


@pytest.mark.parametrize(
    ("problem", "named"),
    [
        ("HTTP 301", "redirects to"),
        ("HTTP 400", "TOOLOO_ALERT_SECRET"),
        ("HTTP 401", "TOOLOO_ALERT_SECRET"),
        ("HTTP 410", "correct TOOLOO_ALERT_URL"),
        ("HTTP 429", "tried again"),
        ("HTTP 502", "tried again"),
        ("SSLError", "certificate"),
        ("ConnectTimeout", "firewall"),
        ("ReadTimeout", "within ten seconds"),
        ("InvalidURL", "correct TOOLOO_ALERT_URL"),
    ],
)
def test_each_cause_has_its_cure(problem: str, named: str) -> None:
    assert named in undelivered.cure(problem)
