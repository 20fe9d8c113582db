"""A webhook is told of each thing that needs a person: once when it begins, once when it ends, by whichever process."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from app import bootstrap, settings
from app.domain.policy import AlertsPolicy
from app.errors import ConfigError
from app.operations.alerts import Alerts
from app.operations.attention import Item, Severity
from app.operations.webhook import Webhook, signature
from app.services import Services
from app.store import database
from tests.providers.server import Received, Server, whole
from tests.support.ports import free_port
from tests.support.system import ROOT, System
from tests.support.waiting import wait_until

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
SINCE = datetime(2026, 11, 29, 1, 19, tzinfo=UTC)
REFUSED = Item(
    "key_refused", Severity.CRITICAL, "acme", SINCE, "acme refuses the key in ACME_API_KEY", "put a valid key"
)
AWAY = Item("dependency_away", Severity.CRITICAL, "postgres", SINCE, "PostgreSQL is not reachable", "start PostgreSQL")
QUICK = AlertsPolicy(every_s=0.05, quiet_s=1.0, retry_s=0.2, retry_max_s=0.4)


class Receiver:
    """Somebody's server. `taken`: the messages it said yes to."""

    def __init__(self, server: Server) -> None:
        self.url = f"{server.url}/hook"
        self.status = 200
        self.tried: list[Received] = []
        self.taken: list[Received] = []
        self._lock = threading.Lock()
        server.answer = self._answer

    def _answer(self, received: Received) -> list[bytes]:
        with self._lock:
            self.tried.append(received)
            if self.status == 200:
                self.taken.append(received)
        return whole(self.status, {}, b"")

    def types(self) -> list[str]:
        return [json.loads(each.body)["type"] for each in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Server(lambda _: [b""]) as server:
        yield Receiver(server)


def processes(
    services: Services, receiver: Receiver, present: Callable[[], list[Item]], count: int = 3
) -> list[Alerts]:
    quick = replace(services, policy=replace(services.policy, alerts=QUICK))
    return [Alerts(quick, Webhook(receiver.url, SECRET), present) for _ in range(count)]


def all_look(running: list[Alerts]) -> None:
    with ThreadPoolExecutor(len(running)) as threads:
        list(threads.map(Alerts.look, running))


def look_until(running: list[Alerts], condition: Callable[[], bool], what: str) -> None:
    def looked() -> bool:
        all_look(running)
        return condition()

    wait_until(looked, 20, what=what)


def test_many_processes_tell_each_end_once_and_sign_it(system: System, receiver: Receiver) -> None:
    present = [REFUSED]
    running = processes(system.services, receiver, lambda: list(present))

    for _ in range(5):
        all_look(running)
    (began,) = receiver.taken
    present.clear()
    look_until(running, lambda: len(receiver.taken) > 1, "its end")
    for _ in range(5):
        all_look(running)

    assert receiver.types() == ["attention.began", "attention.ended"]
    body = json.loads(began.body)
    assert body["data"] | {"id": "", "beganAt": 0} == {
        **REFUSED.to_json(), "id": "", "beganAt": 0, "endedAt": None,
    }  # fmt: skip
    assert body["text"] == "critical: acme refuses the key in ACME_API_KEY → put a valid key"
    assert body["timestamp"] == SINCE.isoformat()
    for each in receiver.taken:
        timestamp = each.headers["webhook-timestamp"]
        signed = f"{each.headers['webhook-id']}.{timestamp}.".encode() + each.body
        expected = hmac.new(b"a secret of thirty-two bytes ...", signed, hashlib.sha256).digest()
        assert each.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
        assert abs(time.time() - int(timestamp)) < 60


def test_it_begins_anew_after_it_has_ended(system: System, receiver: Receiver) -> None:
    present = [REFUSED]
    running = processes(system.services, receiver, lambda: list(present), 1)
    all_look(running)
    present.clear()
    look_until(running, lambda: len(receiver.taken) == 2, "its end")
    present.append(REFUSED)
    all_look(running)

    assert receiver.types() == ["attention.began", "attention.ended", "attention.began"]
    assert len({json.loads(each.body)["data"]["id"] for each in receiver.taken}) == 2


def test_what_is_not_taken_is_tried_again_under_the_same_id_and_told_before_its_end(
    system: System, receiver: Receiver
) -> None:
    receiver.status = 503
    present = [REFUSED]
    running = processes(system.services, receiver, lambda: list(present))
    look_until(running, lambda: len(receiver.tried) >= 3, "three tries")
    present.clear()
    quiet = time.monotonic() + QUICK.quiet_s + 0.2
    look_until(running, lambda: time.monotonic() > quiet, "it is over")
    receiver.status = 200
    look_until(running, lambda: len(receiver.taken) == 2, "both ends")

    assert receiver.types() == ["attention.began", "attention.ended"]
    ids = Counter(each.headers["webhook-id"] for each in receiver.tried)
    assert len(ids) == 2


def test_a_redirect_is_no_yes(system: System, receiver: Receiver) -> None:
    receiver.status = 307
    running = processes(system.services, receiver, lambda: [REFUSED], 1)
    look_until(running, lambda: len(receiver.tried) >= 2, "the second try")

    assert receiver.taken == []


def test_that_postgres_is_away_is_told_once_without_it(system: System, receiver: Receiver) -> None:
    url = f"postgresql+psycopg2://tooloo@127.0.0.1:{free_port()}/tooloo"
    away = replace(system.services, sessions=sessionmaker(database.create(url)))
    present = [AWAY, REFUSED]
    running = processes(away, receiver, lambda: list(present))
    for _ in range(4):
        all_look(running)
    assert receiver.types() == ["attention.began"]

    present[:] = []
    look_until(running, lambda: len(receiver.taken) > 1, "it is back")
    for _ in range(3):
        all_look(running)

    assert receiver.types() == ["attention.began", "attention.ended"]
    assert {json.loads(each.body)["data"]["subject"] for each in receiver.taken} == {"postgres"}
    assert system.services.redis.exists("tooloo:alert:postgres") == 0


def test_a_process_that_has_just_begun_to_look_ends_nothing(system: System, receiver: Receiver) -> None:
    all_look(processes(system.services, receiver, lambda: [REFUSED], 1))
    with database.transaction(system.services.sessions) as session:
        session.execute(text("UPDATE alerts SET seen_at = now() - interval '1 hour'"))

    all_look(processes(system.services, receiver, list, 1))

    assert receiver.types() == ["attention.began"]


def test_an_api_process_tells_what_it_sees(system: System, receiver: Receiver, tmp_path: Any) -> None:
    configured = replace(system.services.settings, alert_url=receiver.url, alert_secret=SECRET)
    policy = replace(
        system.services.policy, alerts=QUICK, health=replace(system.services.policy.health, disk_free_mb=1e12)
    )
    running = bootstrap.start(replace(system.services, settings=configured, policy=policy), seed=1)
    try:
        wait_until(lambda: "attention.began" in receiver.types(), 20, what="the disk")
    finally:
        running.stop()

    assert {json.loads(each.body)["data"]["kind"] for each in receiver.taken} >= {"disk"}


def test_the_snippet_of_the_docs_tells_a_genuine_message_from_others(receiver: Receiver) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    snippet = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102  # our own page
    now = int(time.time())
    Webhook(receiver.url, "plain").send("m", {"text": "ä"}, now)
    Webhook(receiver.url, "plain").send("m", {"text": "ä"}, now - 301)
    good, old = receiver.taken

    genuine = names["is_genuine"]
    assert genuine("plain", good.headers, good.body)
    assert not genuine("other", good.headers, good.body)
    assert not genuine("plain", good.headers, good.body + b" ")
    assert not genuine("plain", old.headers, old.body)


def test_a_plain_secret_is_its_own_bytes() -> None:
    expected = base64.b64encode(hmac.new(b"plain", b"m.7.{}", hashlib.sha256).digest()).decode()
    assert signature("plain", "m", 7, b"{}") == f"v1,{expected}"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"TOOLOO_ALERT_URL": "https://x.example/h"}, "TOOLOO_ALERT_SECRET"),
        ({"TOOLOO_ALERT_SECRET": "s"}, "TOOLOO_ALERT_URL"),
        ({"TOOLOO_ALERT_URL": "ftp://x", "TOOLOO_ALERT_SECRET": "s"}, "TOOLOO_ALERT_URL"),
    ],
)
def test_an_address_without_a_secret_stops_the_process(given: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings.load(given, dotenv=None)
    assert raised.value.field == field


def test_neither_address_nor_secret_shows_in_what_is_printed() -> None:
    given = {"TOOLOO_ALERT_URL": "https://x.example/T0K3N", "TOOLOO_ALERT_SECRET": "s3cr3t"}
    assert "T0K3N" not in repr(settings.load(given, dotenv=None))
    assert "s3cr3t" not in repr(Webhook("https://x.example", "s3cr3t"))
