"""Traces of the whole stack: granian's processes, Celery's workers, beat; one chat with a failover, and one round."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.stack.test_story import latest
from tests.support.collector import Collector, Span, collector
from tests.support.stack import Stack, stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(300)]

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


def test_a_chat_is_one_trace_and_so_is_a_round(tmp_path: Path) -> None:
    with (
        collector() as collected,
        stack(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collected.url, OTEL_BSP_SCHEDULE_DELAY="200") as running,
    ):
        wait_until(lambda: latest(running), 60, "the first round is finished")
        _chat(running, collected)
        _round(running, collected)
        assert not [span for span in collected.spans if "tooloo.ingest" in span.name or "tooloo.reap" in span.name]
        assert "spans are lost" not in running.printed()


def _chat(running: Stack, collected: Collector) -> None:
    first = running.post("/api/v1/chat", {"message": "hello"})["provider"]
    running.tooloo("lab", "set", first, "error_rate=1", "error_kind=overloaded")
    answered = requests.post(f"{running.url}/api/v1/chat", json={"message": "hi"}, headers=HEADERS, timeout=60)
    assert answered.ok
    spans = collected.wait_for(lambda spans: bool(_of(spans, TRACE, "server")), "the API's span")
    running.tooloo("lab", "reset")
    (server,), (gateway,) = _of(spans, TRACE, "server"), _of(spans, TRACE, "internal")
    calls = _of(spans, TRACE, "client")
    assert server.parent == CALLER
    assert gateway.parent == server.id
    assert {call.parent for call in calls} == {gateway.id}
    assert [call.failed for call in calls] == [True, False]


def _round(running: Stack, collected: Collector) -> None:
    before = latest(running)["id"]
    body = {"providers": ["gemini"]}
    trace = TRACE[::-1]
    headers = {"traceparent": f"00-{trace}-{CALLER}-01"}
    started = requests.post(f"{running.url}/api/v1/system/benchmarks", json=body, headers=headers, timeout=60)
    assert started.ok, started.text
    wait_until(lambda: latest(running)["id"] != before, 60, "the round is finished")
    spans = collected.wait_for(
        lambda spans: any("optimize" in s.name for s in _of(spans, trace, "consumer")), "its end"
    )
    (server,) = _of(spans, trace, "server")
    known = {span.id: span for span in spans if span.trace == trace}
    sent, ran, calls = (_of(spans, trace, kind) for kind in ("producer", "consumer", "client"))
    assert any(span.parent == server.id for span in sent)
    assert {known[span.parent].kind for span in ran} == {"producer"}
    assert len(calls) == 10
    assert {known[span.parent].name for span in calls} == {"process tooloo.probe"}
    assert {span.attributes["gen_ai.provider.name"] for span in calls} == {"gcp.gemini"}
    roles = {
        kind: {span.resource["tooloo.role"] for span in _of(spans, trace, kind)} for kind in ("server", "consumer")
    }
    assert roles == {"server": {"api"}, "consumer": {"worker"}}


def _of(spans: list[Span], trace: str, kind: str) -> list[Span]:
    return sorted((span for span in spans if (span.trace, span.kind) == (trace, kind)), key=lambda span: span.began_ns)
