"""One contract over every wire format: the same story told in three protocols ends in the same object or error.

A new wire format brings one file in fixtures/ and is held to all of this.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import errors
from app.domain.catalog import WireFormat
from app.errors import BeganDifferently, Hedged, ProviderError, StreamCut
from app.providers.base import Answer
from app.providers.client import Client
from tests.providers.calls import KEY, ask, endpoint
from tests.providers.server import Server, chunked, whole

FIXTURES: dict[WireFormat, dict[str, Any]] = {
    wire: json.loads((Path(__file__).parent / "fixtures" / f"{wire.value}.json").read_text(encoding="utf-8"))
    for wire in WireFormat
}
BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    # one of two parents is no provider's, but found before a call
    if isinstance(kind, type) and issubclass(kind, ProviderError) and len(kind.__bases__) == 1
}
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
#: what every provider must be able to tell
STORIES = {"text", "tools", "reasoning", "length", "filter"}


def told(section: str) -> pytest.MarkDecorator:
    """Every entry of a section of the fixtures, with its wire format."""
    rows = [
        pytest.param(wire, entry, id=f"{wire.value} {name}")
        for wire, fixture in FIXTURES.items()
        for name, entry in fixture[section].items()
    ]
    return pytest.mark.parametrize(("wire", "entry"), rows)


def serve(server: Server, entry: dict[str, Any], *, stream: bool) -> None:
    if stream:
        events = [event.encode() for event in entry["stream"]]
        server.answer = lambda _: chunked(events)
    else:
        body = json.dumps(entry["plain"]).encode()
        server.answer = lambda _: whole(200, {"content-type": "application/json"}, body)


def check(answer: Answer, expect: dict[str, Any]) -> None:
    assert answer.text == expect["text"]
    assert answer.reasoning == expect.get("reasoning", "")
    assert answer.finish.value == expect["finish"]
    assert [[tool.name, json.loads(tool.arguments)] for tool in answer.tool_calls] == expect.get("tools", [])
    assert len({tool.id for tool in answer.tool_calls}) == len(answer.tool_calls)
    assert answer.usage.prompt == expect["prompt"]
    assert answer.usage.completion == expect["completion"]
    assert answer.usage.reasoning == expect.get("reasoning_tokens", 0)
    assert answer.usage.cached == expect.get("cached", 0)
    assert answer.usage.cache_written == expect.get("cache_written", 0)
    assert not answer.usage.estimated


def test_every_format_tells_every_story() -> None:
    for wire, fixture in FIXTURES.items():
        assert set(fixture["answers"]) == STORIES, wire


@PLAIN_AND_STREAMED
@told("answers")
def test_answer_reads_the_same_in_every_format(
    wire: WireFormat, entry: dict[str, Any], stream: bool, client: Client, server: Server
) -> None:
    serve(server, entry, stream=stream)
    answer, deltas = ask(client, endpoint(server.url, wire), stream=stream)
    check(answer, entry["expect"])
    assert answer.model.startswith("tiny-")
    assert answer.asked_model == "m"
    assert answer.provider_request_id
    assert 0 <= answer.timing.connect_ms <= answer.timing.total_ms
    assert answer.timing.first_token_ms is not None
    assert answer.timing.first_token_ms <= answer.timing.total_ms
    if stream:
        assert "".join(delta.text for delta in deltas) == answer.text
        assert "".join(delta.reasoning for delta in deltas) == answer.reasoning
        for place, tool in enumerate(answer.tool_calls):
            mine = [delta for delta in deltas if delta.tool_index == place]
            assert (mine[0].tool_id, mine[0].tool_name) == (tool.id, tool.name)
            assert "".join(delta.tool_arguments for delta in mine) in {tool.arguments, ""}


@told("answers")
def test_streamed_answer_equals_the_plain_one(
    wire: WireFormat, entry: dict[str, Any], client: Client, server: Server
) -> None:
    answers = []
    for stream in (False, True):
        serve(server, entry, stream=stream)
        answers.append(ask(client, endpoint(server.url, wire), stream=stream)[0])
    plain, streamed = (
        # what differs between any two calls: the clock, ids, and white space in arguments
        replace(answer, timing=answers[0].timing, tool_calls=(), provider_request_id=None)
        for answer in answers
    )
    assert plain == streamed


@told("answers")
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_stream_reads_the_same_however_it_is_cut(
    wire: WireFormat, entry: dict[str, Any], client: Client, server: Server, data: st.DataObject
) -> None:
    body = "".join(entry["stream"]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=30)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    server.answer = lambda _: chunked(pieces)
    check(ask(client, endpoint(server.url, wire), stream=True)[0], entry["expect"])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@told("answers")
def test_stream_reads_the_same_with_any_line_ending(
    wire: WireFormat, entry: dict[str, Any], newline: str, client: Client, server: Server
) -> None:
    text = "".join(entry["stream"]).replace("\r\n", "\n").replace("\n", newline)
    server.answer = lambda _: chunked([text.encode()])
    check(ask(client, endpoint(server.url, wire), stream=True)[0], entry["expect"])


@told("answers")
def test_stream_is_read_where_its_last_blank_line_is_missing(
    wire: WireFormat, entry: dict[str, Any], client: Client, server: Server
) -> None:
    server.answer = lambda _: chunked(["".join(entry["stream"]).rstrip().encode()])
    check(ask(client, endpoint(server.url, wire), stream=True)[0], entry["expect"])


@told("answers")
def test_stream_that_ends_anywhere_before_its_end_is_cut(
    wire: WireFormat, entry: dict[str, Any], client: Client, server: Server
) -> None:
    # a reason to finish is an end; what may follow it is told in test_dialects and test_last_words
    reasons = ('"finish_reason":"', '"stop_reason":"')
    first_of_end = next((n for n, event in enumerate(entry["stream"]) if any(r in event for r in reasons)), -1)
    before = len("".join(entry["stream"][:first_of_end]).encode())
    body = "".join(entry["stream"]).encode()
    for length in range(0, before, 7):
        server.answer = lambda _, cut=body[:length]: chunked([cut])  # type: ignore[misc]  # a default binds the loop's value
        with pytest.raises(StreamCut):
            ask(client, endpoint(server.url, wire), stream=True)


@told("answers")
def test_answer_that_was_not_streamed_though_asked_to_is_taken_as_it_is(
    wire: WireFormat, entry: dict[str, Any], client: Client, server: Server
) -> None:
    serve(server, entry, stream=False)
    answer, deltas = ask(client, endpoint(server.url, wire), stream=True)
    check(answer, entry["expect"])
    assert "".join(delta.text for delta in deltas) == answer.text


@PLAIN_AND_STREAMED
@told("useless")
def test_answer_of_no_use_is_an_error_though_http_says_200(
    wire: WireFormat, entry: dict[str, Any], stream: bool, client: Client, server: Server
) -> None:
    serve(server, entry, stream=stream)
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url, wire), stream=stream)
    assert type(caught.value) is BY_CODE[entry["error"]]
    assert caught.value.provider_code == entry.get("provider_code")
    assert caught.value.timing is not None
    assert caught.value.timing.total_ms > 0


REFUSALS = [
    pytest.param(wire, row, id=f"{wire.value} {row['status']} {row['error']} {place}")
    for wire, fixture in FIXTURES.items()
    for place, row in enumerate(fixture["refusals"])
]


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(("wire", "row"), REFUSALS)
def test_refusal_becomes_the_error_it_means(
    wire: WireFormat, row: dict[str, Any], stream: bool, client: Client, server: Server
) -> None:
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    # DeepSeek sends its errors under this type
    headers = {"content-type": "application/octet-stream", **row["headers"]}
    server.answer = lambda _: whole(row["status"], headers, body.encode())
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url, wire), stream=stream)
    error = caught.value
    assert type(error) is BY_CODE[row["error"]]
    assert error.status_code == row["status"]
    assert error.timing is not None
    if "retry_after_s" in row:
        assert error.retry_after_s == row["retry_after_s"]
    if isinstance(row["body"], dict) and isinstance(row["body"].get("error"), dict):
        assert str(error).startswith(row["body"]["error"]["message"])


@pytest.mark.parametrize("wire", WireFormat)
def test_every_refusal_a_provider_can_give_is_told(wire: WireFormat) -> None:
    told = {row["error"] for row in FIXTURES[wire]["refusals"]}
    expected = {
        "bad_key",
        "out_of_credit",
        "model_unknown",
        "bad_request",
        "context_too_long",
        "rate_limited",
        "overloaded",
        "server_error",
    }
    assert expected <= told


def test_every_class_of_the_tree_is_reached() -> None:
    sections = [entry["error"] for fixture in FIXTURES.values() for entry in fixture["useless"].values()]
    told = {row["error"] for fixture in FIXTURES.values() for row in fixture["refusals"]} | set(sections)
    in_test_failures = {"timeout", "connection_lost", "stream_cut", "local_failure"}
    in_test_structured = {"unsupported"}
    gateways_own = {Hedged.code, BeganDifferently.code}
    assert told | in_test_failures | in_test_structured == set(BY_CODE) - {ProviderError.code} - gateways_own


@pytest.mark.parametrize("wire", WireFormat)
def test_key_is_in_a_header_and_nowhere_else(wire: WireFormat, client: Client, server: Server) -> None:
    error = {"error": {"message": f"Incorrect API key provided: {KEY}.", "type": "authentication_error"}}
    server.answer = lambda _: whole(401, {}, json.dumps(error).encode())
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url, wire), stream=False)
    sent = server.received[-1]
    assert [name for name, value in sent.headers.items() if KEY in value] == [
        {"openai": "authorization", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}[wire.value]
    ]
    assert KEY not in sent.path
    assert KEY.encode() not in sent.body
    assert KEY not in str(caught.value)
    assert KEY not in repr(endpoint(server.url, wire))
