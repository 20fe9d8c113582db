"""One chat is one trace: the request, the gateway, each call of a provider, with the right parents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
import requests

from tests.providers.server import Hangup, chunked
from tests.support.collector import Span
from tests.support.upstreams import piece, refused, streamed
from tests.tracing.conftest import Traced

Api = Callable[..., AbstractContextManager[Traced]]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "the-words-of-the-prompt"


def chat(running: Traced, *, stream: bool = False, **headers: str) -> str:
    body = {"model": "auto", "messages": [{"role": "user", "content": SECRET}], "stream": stream}
    answered = requests.post(f"{running.url}/v1/chat/completions", json=body, headers=headers, timeout=20)
    assert answered.status_code == 200
    return answered.text


def hung_up(told: bytes) -> Iterator[bytes]:
    yield from chunked([told], end=False)
    raise Hangup


def server_spans(spans: list[Span]) -> list[Span]:
    return [span for span in spans if span.kind == "server"]


def one_trace(running: Traced) -> dict[str, list[Span]]:
    """By kind; the API's span ends last."""
    spans = running.collected.wait_for(lambda spans: bool(server_spans(spans)), "the API's span")
    assert {span.trace for span in spans} == {spans[0].trace}
    return {kind: [span for span in spans if span.kind == kind] for kind in ("server", "internal", "client")}


def test_a_failover_is_one_trace_with_a_call_of_each_target(traced: Api) -> None:
    with traced() as running:
        running.up.servers["one"].answer = lambda _: refused(503)
        chat(running, traceparent=f"00-{TRACE}-{CALLER}-01")
        found = one_trace(running)

    (server,), (gateway,), (first, second) = found["server"], found["internal"], found["client"]
    assert (server.trace, server.parent) == (TRACE, CALLER)
    assert gateway.parent == server.id
    assert {first.parent, second.parent} == {gateway.id}
    assert server.name == "POST /v1/chat/completions"
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["http.route"] == "/v1/chat/completions"
    assert gateway.attributes["tooloo.outcome"] == "ok"
    assert gateway.attributes["tooloo.target"] == "two/m"
    assert gateway.attributes["tooloo.request.id"].startswith("req-")
    assert (first.attributes["gen_ai.provider.name"], second.attributes["gen_ai.provider.name"]) == ("one", "two")
    assert (first.failed, second.failed) == (True, False)
    assert first.attributes["error.type"] == "overloaded"
    assert first.attributes["http.response.status_code"] == 503
    assert "error.type" not in second.attributes
    assert (server.failed, gateway.failed) == (False, False)
    assert server.resource["service.name"] == "tooloo"


def test_a_call_has_the_names_of_the_conventions(traced: Api) -> None:
    with traced() as running:
        chat(running)
        (call,) = one_trace(running)["client"]
        port = int(running.up.servers["one"].url.rpartition(":")[2])

    assert call.name == "chat m"
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "one",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m",
        "gen_ai.response.time_to_first_chunk": call.attributes["gen_ai.response.time_to_first_chunk"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "server.address": "127.0.0.1",
        "server.port": port,
    }


def test_a_streams_spans_last_as_long_as_the_stream(traced: Api) -> None:
    with traced() as running:
        running.up.servers["one"].answer = lambda _: streamed("a ", "b")
        chat(running, stream=True)
        found = one_trace(running)

    (server,), (gateway,), (call,) = found["server"], found["internal"], found["client"]
    assert (gateway.parent, call.parent) == (server.id, gateway.id)
    assert server.began_ns <= gateway.began_ns <= call.began_ns < call.ended_ns <= gateway.ended_ns <= server.ended_ns
    assert gateway.attributes["tooloo.outcome"] == "ok"


def test_a_stream_that_breaks_off_is_a_call_that_failed(traced: Api) -> None:
    with traced() as running:
        running.up.servers["one"].answer = lambda _: hung_up(piece("a "))
        chat(running, stream=True)
        call = one_trace(running)["client"][0]

    assert (call.attributes["gen_ai.provider.name"], call.attributes["error.type"]) == ("one", "stream_cut")
    assert call.failed
    assert call.attributes["gen_ai.usage.output_tokens"] == 1  # as far as it came


def test_no_word_of_prompt_or_answer_is_in_any_span(traced: Api) -> None:
    with traced() as running:
        running.up.servers["one"].answer = lambda _: streamed("the-words-of-the-answer")
        chat(running, stream=True)
        one_trace(running)
        told = repr(running.collected.spans)

    assert SECRET not in told
    assert "the-words-of-the-answer" not in told


@pytest.mark.parametrize(("variable", "sent"), [("no", False), ("yes", True)])
def test_providers_are_told_of_the_trace_where_a_setting_says_so(traced: Api, variable: str, sent: bool) -> None:
    with traced(TOOLOO_TRACE_PROVIDERS=variable) as running:
        chat(running, traceparent=f"00-{TRACE}-{CALLER}-01", tracestate="vendor=1")
        (call,) = one_trace(running)["client"]
        (received,) = running.up.servers["one"].received

    told = {name: value for name, value in received.headers.items() if name.lower().startswith("trace")}
    wanted = {"traceparent": f"00-{TRACE}-{call.id}-01", "tracestate": "vendor=1"}
    assert told == (wanted if sent else {})


def test_a_request_that_is_refused_has_its_status_and_no_call(traced: Api) -> None:
    with traced() as running:
        requests.post(f"{running.url}/v1/chat/completions", json={"messages": 1}, timeout=20)
        found = one_trace(running)

    assert found["server"][0].attributes["http.response.status_code"] == 400
    assert not found["server"][0].failed
    assert found["internal"] + found["client"] == []


def test_where_nobody_answers_request_and_calls_have_failed(traced: Api) -> None:
    with traced() as running:
        for server in running.up.servers.values():
            server.answer = lambda _: refused(503)
        answered = requests.post(f"{running.url}/api/v1/chat", json={"message": "hello"}, timeout=20)
        found = one_trace(running)

    assert answered.status_code >= 500
    assert found["server"][0].failed
    assert found["server"][0].attributes["error.type"] == str(answered.status_code)
    assert found["internal"][0].failed
    assert found["internal"][0].attributes["error.type"] == "all_attempts_failed"
    assert {call.attributes["gen_ai.provider.name"] for call in found["client"]} == {"one", "two", "three"}


def test_a_route_with_variables_has_one_name(traced: Api) -> None:
    with traced() as running:
        requests.get(f"{running.url}/api/v1/requests/req-none", timeout=20)
        (server,) = one_trace(running)["server"]

    assert server.name == "GET /api/v1/requests/<request_id>"
    assert server.attributes["http.route"] == "/api/v1/requests/<request_id>"


def test_probes_of_health_are_no_traces(traced: Api) -> None:
    with traced() as running:
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/system/attention"):
            requests.get(running.url + path, timeout=20)
        (server,) = one_trace(running)["server"]

    assert server.attributes["url.path"] == "/api/v1/system/attention"
