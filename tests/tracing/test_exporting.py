"""Off: nothing is imported. On: spans go out, and a collector that does not take them costs one line in the log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest
from structlog.testing import capture_logs

from app import settings
from app import tracing as tracing_package
from app.errors import ConfigError
from app.tracing import begin
from app.tracing.spans import Tracing
from tests.providers.server import Server, whole
from tests.support.collector import Collector
from tests.support.forward_proxy import ForwardProxy
from tests.support.ports import free_port
from tests.support.system import ROOT
from tests.support.waiting import started, wait_until

LOST = "spans are lost: the collector does not take them"


def a_request(tracing: Tracing) -> None:
    tracing.request("gateway chat", {}).end("ok", "one/m", failed=False)


def test_spans_carry_the_service_and_what_the_variables_say(
    collected: Collector, tracing: Callable[..., Tracing]
) -> None:
    made = tracing(
        OTEL_EXPORTER_OTLP_ENDPOINT=collected.url,
        OTEL_SERVICE_NAME="our gateway",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20t0ken",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )
    a_request(made)
    (span,) = collected.wait_for(bool, "a span")

    assert span.resource["service.name"] == "our gateway"
    assert span.resource["deployment.environment.name"] == "test"
    assert span.resource["tooloo.role"] == "api"
    assert span.resource["process.pid"] == os.getpid()
    assert collected.paths == ["/v1/traces"]
    assert collected.headers[0]["authorization"] == "Bearer t0ken"


def test_a_whole_url_for_traces_is_taken_as_it_is(collected: Collector, tracing: Callable[..., Tracing]) -> None:
    a_request(tracing(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collected.url}/own/path"))
    collected.wait_for(bool, "a span")

    assert collected.paths == ["/own/path"]


def test_what_is_not_sampled_is_not_sent(collected: Collector, tracing: Callable[..., Tracing]) -> None:
    made = tracing(
        OTEL_EXPORTER_OTLP_ENDPOINT=collected.url, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0"
    )
    a_request(made)
    made.stop()  # sends what there is

    assert collected.spans == []


def test_the_last_spans_go_out_at_the_end(collected: Collector, tracing: Callable[..., Tracing]) -> None:
    made = tracing(OTEL_EXPORTER_OTLP_ENDPOINT=collected.url, OTEL_BSP_SCHEDULE_DELAY="60000")
    a_request(made)
    made.stop()

    assert [span.name for span in collected.spans] == ["gateway chat"]


def test_a_dead_collector_is_said_once_and_so_is_its_return(tracing: Callable[..., Tracing]) -> None:
    answers = [503] * 3
    refusals = whole(400, {}, b"")
    with Server(lambda _: refusals if answers else whole(200, {}, b"")) as server, capture_logs() as logged:
        made = tracing(OTEL_EXPORTER_OTLP_ENDPOINT=server.url)
        while answers:
            before = len(server.received)
            a_request(made)
            wait_until(lambda before=before: len(server.received) > before, what="a batch")
            answers.pop()
        a_request(made)
        wait_until(lambda: any("again" in line["event"] for line in logged), what="the word of its return")

    said = [line for line in logged if "span" in line["event"]]
    assert [line["event"] for line in said] == [LOST, "the collector takes spans again"]
    assert said[1]["lost"] == 3


def test_with_nobody_at_the_address_neither_spans_nor_the_end_are_held_up(tracing: Callable[..., Tracing]) -> None:
    made = tracing(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", OTEL_BSP_MAX_QUEUE_SIZE="512")

    def many() -> None:
        for _ in range(1000):
            a_request(made)
        made.stop()

    started(many).result(timeout=10)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "tooloo"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_off_is_off(variables: Mapping[str, str]) -> None:
    assert settings.load(variables, dotenv=None).traces is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("TOOLOO_TRACE_PROVIDERS", "perhaps"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(name: str, value: str) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "traceidratio"} if name.endswith("_ARG") else {}
    with pytest.raises(ConfigError, match=name) as refusal:
        settings.load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", **sampler, name: value}, dotenv=None)

    assert refusal.value.field == name


def test_what_the_library_refuses_is_said_plainly(tracing: Callable[..., Tracing]) -> None:
    with pytest.raises(ConfigError, match="max_queue_size"):
        tracing(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", OTEL_BSP_MAX_QUEUE_SIZE="10")


def test_a_collector_on_this_machine_is_not_behind_the_proxy_of_the_shell(
    collected: Collector, tracing: Callable[..., Tracing], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy({}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        made = tracing(OTEL_EXPORTER_OTLP_ENDPOINT=collected.url)
        a_request(made)
        made.stop()

        collected.wait_for(bool, "a span")
        assert proxy.heads == []


def test_to_tell_providers_of_traces_needs_traces() -> None:
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        settings.load({"TOOLOO_TRACE_PROVIDERS": "yes"}, dotenv=None)


def test_the_headers_for_a_collector_are_a_secret() -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS": "key=s3cret"}

    assert "s3cret" not in repr(settings.load(given, dotenv=None))


def test_what_is_missing_is_said_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "app.tracing.exporting", raising=False)
    monkeypatch.delattr(tracing_package, "exporting", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    given = settings.load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, dotenv=None)

    with pytest.raises(ConfigError, match=r"pip install '\.\[otlp\]'"):
        begin(given, "api")


@pytest.mark.parametrize("module", ["app.api.server", "workers.tasks"])
def test_unset_means_that_nothing_of_it_is_imported(module: str) -> None:
    ours = ("app.tracing.spans", "app.tracing.exporting", "opentelemetry.sdk.trace", "opentelemetry.exporter")
    look = f"import sys, {module}; print([name for name in sys.modules if name.startswith({ours})])"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )

    assert done.stdout.strip() == "[]", done.stdout + done.stderr
