"""A provider that is looked over: each thing that can be wrong is found, and comes with what to do."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import ConnectionLost, ProviderError
from app.providers.base import Endpoint
from app.providers.checkup import FIXES, Finding, Status, check, fix
from app.providers.client import Client
from tests.providers.calls import KEY, endpoint
from tests.providers.server import Received, Server, whole

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LISTS: Mapping[WireFormat, Any] = {
    WireFormat.OPENAI: {"object": "list", "data": [{"id": "m"}, {"id": "gpt-9"}]},
    WireFormat.ANTHROPIC: {"data": [{"type": "model", "id": "m-20251001"}], "has_more": False},
    WireFormat.GEMINI: {"models": [{"name": "models/m-001"}, {"name": "models/other"}]},
}
ANSWER = {
    "model": "m",
    "choices": [{"message": {"content": "ready"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 2},
}


def json_answer(status: int, document: object, headers: Mapping[str, str] | None = None) -> list[bytes]:
    return whole(status, {"content-type": "application/json", **(headers or {})}, json.dumps(document).encode())


def serve(server: Server, listing: list[bytes], call: list[bytes] | None = None) -> None:
    def answer(request: Received) -> list[bytes]:
        return listing if request.method == "GET" else call or json_answer(200, ANSWER)

    server.answer = answer


def looked_over(client: Client, target: Endpoint, *, call: bool = False) -> dict[str, Finding]:
    found = check(client, target, call=call, now=NOW)
    assert all(finding.fix for finding in found if finding.status in (Status.FAILED, Status.WARNING))
    assert not any(KEY in finding.detail + finding.fix for finding in found)
    return {finding.check: finding for finding in found}


def states(found: Mapping[str, Finding]) -> dict[str, str]:
    return {name: finding.status.value for name, finding in found.items()}


@pytest.mark.parametrize("wire", WireFormat)
def test_healthy_provider_is_found_healthy_in_every_format(wire: WireFormat, client: Client, server: Server) -> None:
    date = format_datetime(datetime.now(UTC), usegmt=True)
    serve(server, json_answer(200, LISTS[wire], {"date": date}))
    found = looked_over(client, endpoint(server.url, wire))
    healthy = {"key": "ok", "reachable": "ok", "model": "ok", "clock": "ok"}
    assert states(found) == {**healthy, "price": "warning"}  # nobody knows what "m" costs
    assert KEY in "".join(server.received[-1].headers.values())
    assert KEY not in server.received[-1].path


def test_model_that_is_not_listed_is_named_with_those_that_are(client: Client, server: Server) -> None:
    serve(server, json_answer(200, {"data": [{"id": "gpt-9"}, {"id": "gpt-9-mini"}, {"id": "m-mini"}]}))
    found = looked_over(client, endpoint(server.url))
    assert states(found)["model"] == "failed"
    assert "gpt-9, gpt-9-mini" in found["model"].fix


@pytest.mark.parametrize("document", [{}, {"data": []}, {"data": "?"}, {"data": [{"id": 7}]}])
def test_list_that_says_nothing_proves_nothing(document: object, client: Client, server: Server) -> None:
    serve(server, json_answer(200, document))
    assert states(looked_over(client, endpoint(server.url)))["model"] == "skipped"


@pytest.mark.parametrize(
    ("status", "body", "key", "reachable"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "failed", "ok"),
        (402, {"error": {"message": "Insufficient Balance"}}, "failed", "ok"),
        (403, {"error": {"message": "Missing scopes: api.model.read"}}, "warning", "ok"),  # a restricted key
        (404, {"detail": "Not Found"}, "skipped", "warning"),  # a server that lists nothing, or no API at all
        (500, {"error": {"message": "Sorry"}}, "skipped", "failed"),
        (503, {"error": {"message": "Overloaded"}}, "skipped", "failed"),
        (301, {}, "skipped", "failed"),
    ],
)
def test_refusal_is_told_apart_from_an_outage(
    status: int, body: object, key: str, reachable: str, client: Client, server: Server
) -> None:
    serve(server, json_answer(status, body))
    found = looked_over(client, endpoint(server.url))
    assert (states(found)["key"], states(found)["reachable"]) == (key, reachable)
    assert states(found)["model"] == "skipped"


def test_provider_that_is_not_there_is_said_so_and_not_called(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    found = looked_over(client, endpoint(url), call=True)
    assert states(found) == {
        "key": "skipped",
        "reachable": "failed",
        "model": "skipped",
        "clock": "skipped",
        "price": "warning",
        "call": "skipped",
    }
    assert url in found["reachable"].fix


def test_page_instead_of_an_api_is_not_reachable(client: Client, server: Server) -> None:
    serve(server, whole(200, {"content-type": "text/html"}, b"<html>hotel</html>"))
    assert states(looked_over(client, endpoint(server.url)))["reachable"] == "failed"


@pytest.mark.parametrize(("ahead_s", "side"), [(3600, "ahead of"), (-3600, "behind")])
def test_clock_that_is_off_is_found(ahead_s: int, side: str, client: Client, server: Server) -> None:
    theirs = datetime.now(UTC) - timedelta(seconds=ahead_s)
    serve(server, json_answer(200, LISTS[WireFormat.OPENAI], {"date": format_datetime(theirs, usegmt=True)}))
    found = looked_over(client, endpoint(server.url))["clock"]
    assert (found.status, side in found.detail) == (Status.FAILED, True)


@pytest.mark.parametrize("date", ["", "soon", "Sun, 99 Nov 2026 12:00:00 GMT"])
def test_clock_that_nobody_tells_is_skipped(date: str, client: Client, server: Server) -> None:
    serve(server, json_answer(200, LISTS[WireFormat.OPENAI], {"date": date}))
    assert states(looked_over(client, endpoint(server.url)))["clock"] == "skipped"


def test_price_is_told_where_it_is_known(client: Client, server: Server) -> None:
    serve(server, json_answer(200, {"data": [{"id": "gpt-4.1-mini"}]}))
    target = endpoint(server.url)
    listed = replace(target, provider=replace(target.provider, models=("gpt-4.1-mini",)))
    found = looked_over(client, listed)["price"]
    assert (found.status, "$0.4 in, $1.6 out" in found.detail) == (Status.OK, True)


def test_call_is_made_only_where_asked_for(client: Client, server: Server) -> None:
    serve(server, json_answer(200, LISTS[WireFormat.OPENAI]))
    before = len(server.received)
    assert "call" not in looked_over(client, endpoint(server.url))
    assert [request.method for request in server.received[before:]] == ["GET"]
    found = looked_over(client, endpoint(server.url), call=True)
    assert found["call"].status is Status.OK
    assert "8 + 2 tokens, cost unknown" in found["call"].detail


def test_call_that_fails_says_what_to_do(client: Client, server: Server) -> None:
    error = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    serve(server, json_answer(200, LISTS[WireFormat.OPENAI]), json_answer(429, error))
    found = looked_over(client, endpoint(server.url), call=True)["call"]
    assert (found.status, found.detail) == (Status.FAILED, "out_of_credit: You exceeded your current quota")
    assert "top up" in found.fix


def test_every_class_of_error_has_a_fix() -> None:
    kinds = [ProviderError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert [kind.code for kind in kinds[1:] if not any(issubclass(kind, known) for known in FIXES)] == []


def test_a_name_with_a_dot_is_written_so_that_the_file_stays_right(client: Client, server: Server) -> None:
    serve(server, json_answer(200, {"data": [{"id": "other"}]}))
    target = endpoint(server.url)
    dotted = replace(target, provider=replace(target.provider, name="ollama.local"))
    found = looked_over(client, dotted)

    assert '["ollama.local".prices."m"]' in found["price"].fix
    assert '["ollama.local"]' in found["model"].fix


def test_an_unknown_authority_is_cured_by_its_certificates() -> None:
    error = ConnectionLost("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate")

    told = fix(error, endpoint("https://h").provider)

    assert "ca_bundle" in told
    assert "SSL_CERT_FILE" in told
