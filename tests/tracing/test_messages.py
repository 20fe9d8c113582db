"""A message carries its trace to the task that takes it, and from there to the calls of its probes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from app.benchmark import probing
from app.broker import PROBE, Messages
from app.domain.rounds.rounds import ProbeKey
from app.errors import BadKey
from app.tracing.spans import Tracing
from tests.support.collector import Collector
from tests.support.system import build

KEY = ProbeKey("benchmark-1", "gemini", "gemini-2.5-flash", "arithmetic")


@dataclass
class KeptMessages:
    """Stands where Celery stands."""

    away: bool = False
    headers: list[dict[str, str]] = field(default_factory=list)

    def send_task(self, name: str, headers: dict[str, str], **_: Any) -> None:
        if self.away:
            raise OperationalError("broker away")
        self.headers.append(headers)


@pytest.fixture
def made(collected: Collector, tracing: Callable[..., Tracing]) -> Tracing:
    return tracing(OTEL_EXPORTER_OTLP_ENDPOINT=collected.url)


def test_a_task_is_in_the_trace_of_who_sent_its_message(made: Tracing, collected: Collector) -> None:
    kept = KeptMessages()
    server = made.served("POST", {}, {})
    Messages(kept, made.sent).probes([KEY])  # type: ignore[arg-type]  # the seam
    server.end(202)
    with made.run(PROBE, kept.headers[0]):
        pass
    spans = {span.kind: span for span in collected.wait_for(lambda spans: len(spans) == 3, "three spans")}

    assert spans["producer"].parent == spans["server"].id
    assert spans["consumer"].parent == spans["producer"].id
    assert len({span.trace for span in spans.values()}) == 1
    assert spans["producer"].attributes["messaging.destination.name"] == "probe.gemini"


def test_a_message_that_cannot_be_sent_leaves_no_span_behind_in_its_thread(made: Tracing, collected: Collector) -> None:
    Messages(KeptMessages(away=True), made.sent).probes([KEY])  # type: ignore[arg-type]  # the seam
    made.request("gateway chat", {}).end("ok", None, failed=False)
    spans = {span.kind: span for span in collected.wait_for(lambda spans: len(spans) == 2, "two spans")}

    assert spans["producer"].failed
    assert spans["internal"].parent == ""
    assert spans["internal"].trace != spans["producer"].trace


def test_without_traces_a_message_has_no_headers_of_theirs() -> None:
    kept = KeptMessages()
    Messages(kept).probes([KEY])  # type: ignore[arg-type]  # the seam

    assert kept.headers == [None]


@pytest.mark.parametrize("task", ["tooloo.ingest", "tooloo.reap"])
def test_what_beat_asks_for_every_few_seconds_is_no_trace(made: Tracing, collected: Collector, task: str) -> None:
    with made.run(task, {}):
        pass
    with made.run("tooloo.start_slot", {}):
        pass
    spans = collected.wait_for(bool, "a span")

    assert [span.name for span in spans] == ["process tooloo.start_slot"]


def test_a_probes_call_is_in_its_task_whether_it_succeeds_or_not(
    made: Tracing, collected: Collector, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    system = build(database_url, redis_url, tmp_path)
    services = replace(system.services, tracing=made)
    prompt = services.prompts[0].id
    provider = next(each for each in services.providers if each.name == "gemini")
    key = ProbeKey("benchmark-1", "gemini", provider.models[0], prompt)

    def probe() -> None:
        with made.run(PROBE, {}):
            probing.run(services, key, provider, timeout_ms=1000, answered=lambda: None)

    probe()
    system.client.behaviours["gemini"] = lambda model, request: (_ for _ in ()).throw(BadKey())
    probe()
    system.close()
    spans = collected.wait_for(lambda spans: len(spans) == 4, "four spans")

    good, bad = (span for span in spans if span.kind == "client")
    tasks = {span.id for span in spans if span.kind == "consumer"}
    assert {good.parent, bad.parent} == tasks
    assert good.attributes["gen_ai.response.model"] == "fake-1"
    assert (good.failed, bad.failed, bad.attributes["error.type"]) == (False, True, "bad_key")
