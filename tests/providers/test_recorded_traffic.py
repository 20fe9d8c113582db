"""Every recorded case of the real APIs, served by a local server and read through the real client over a socket."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.catalog import WireFormat
from app.errors import BadKey, BadRequest, ModelUnknown, OutOfCredit, Overloaded, ProviderError, RateLimited, StreamCut
from app.providers.base import Answer
from app.providers.client import Client
from tests.providers.calls import HELLO, ask, endpoint
from tests.providers.server import Received, Server, chunked, whole

CASES_FILE = Path(__file__).resolve().parents[2] / ".." / "shared" / "wire" / "cases.json"
CASES: list[dict[str, Any]] = (
    json.loads(CASES_FILE.read_text(encoding="utf-8"))["cases"] if CASES_FILE.is_file() else []
)

pytestmark = pytest.mark.skipif(not CASES, reason="the recorded traffic (../shared/wire) is not beside this checkout")

FORMATS = {
    "openai": WireFormat.OPENAI,
    "deepseek": WireFormat.OPENAI,
    "anthropic": WireFormat.ANTHROPIC,
    "gemini": WireFormat.GEMINI,
}
#: what a case's class means in our tree
CLASSES: dict[str, type[ProviderError]] = {
    "auth_error": BadKey,
    "model_not_found": ModelUnknown,
    "invalid_request": BadRequest,
    "rate_limited": RateLimited,
    "overloaded": Overloaded,
    "insufficient_balance": OutOfCredit,
    "stream_cut": StreamCut,
}
#: what the body of a recorded refusal says about the next try
RETRY_AFTER_S = {"gemini-429-retryinfo": 48.0, "openai-429-tpm": 0.006}


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in cases]


def body(case: dict[str, Any]) -> bytes:
    response = case["response"]
    prefix = str(response.get("body_prefix") or "").encode()
    if response.get("sse") is not None:
        return prefix + "".join(response["sse"]).encode()
    text = response.get("body")
    return prefix + (b"" if text is None else (text if isinstance(text, str) else json.dumps(text)).encode())


def model(case: dict[str, Any]) -> str:
    in_path = re.search(r"/models/([^:{]+):", case["request"]["path"])
    return in_path[1] if in_path else (case["request"]["body"] or {}).get("model", "recorded-model")


def call(client: Client, server: Server, case: dict[str, Any]) -> Answer:
    wire = FORMATS[case["provider"]]
    # OpenAI's base URL ends in /v1, DeepSeek's does not
    base = server.url + ("/v1" if case["provider"] == "openai" else "")
    answer, deltas = ask(client, endpoint(base, wire), HELLO, stream=case["stream"], model=model(case))
    if case["stream"]:
        assert "".join(delta.text for delta in deltas) == answer.text
        assert "".join(delta.reasoning for delta in deltas) == answer.reasoning
    return answer


def check(case: dict[str, Any], answer: Answer) -> None:
    expect = case["expect"]
    assert answer.text == expect["text"]
    # the cases give the wire's word; a caller of tools is told so, also by Gemini, which says STOP
    called = expect["tool_names"] and expect["finish_class"] == "stop"
    assert answer.finish.value == ("tool" if called else expect["finish_class"])
    assert [tool.name for tool in answer.tool_calls] == expect["tool_names"]
    assert all(isinstance(json.loads(tool.arguments), dict) for tool in answer.tool_calls)
    assert bool(answer.reasoning) is expect["reasoning_present"]
    usage = answer.usage
    assert usage.estimated is (expect["prompt_tokens"] is None or expect["completion_tokens"] is None)
    if usage.estimated:
        return
    # the cases count Anthropic's prompt without its cache, and Gemini's output without its thoughts
    cache = usage.cached + usage.cache_written if case["provider"] == "anthropic" else 0
    thoughts = usage.reasoning if case["provider"] == "gemini" else 0
    assert usage.prompt - cache == expect["prompt_tokens"]
    assert usage.completion - thoughts == expect["completion_tokens"]
    assert usage.reasoning == expect.get("reasoning_tokens", 0)


def check_error(case: dict[str, Any], error: ProviderError) -> None:
    response, expect = case["response"], case["expect"]
    assert type(error) is CLASSES.get(case["class"], type(error))
    assert error.timing is not None
    if response["status"] == 200:
        return
    assert error.status_code == response["status"]
    assert error.provider_code == expect["error_type"]
    assert (expect.get("error_message") or str(error))[:200] == str(error)[:200]
    if case["id"] in RETRY_AFTER_S:
        assert error.retry_after_s == RETRY_AFTER_S[case["id"]]


def is_answered(case: dict[str, Any]) -> bool:
    """HTTP and the provider say yes, and there is something in it: text, or a tool call."""
    expect = case["expect"]
    return bool(expect["ok"] and (expect["usable_text"] or expect["tool_names"]))


@pytest.mark.parametrize("case", named(CASES))
def test_recorded_case_reads_as_expected(case: dict[str, Any], client: Client, server: Server) -> None:
    response = case["response"]
    if case["stream"] and response["status"] == 200:
        server.answer = lambda _: chunked([body(case)], response["headers"])
    else:
        server.answer = lambda _: whole(response["status"], response["headers"], body(case))
    if is_answered(case):
        answer = call(client, server, case)
        check(case, answer)
        assert sorted(answer.rate_limits) == sorted(name for name in response["headers"] if "ratelimit" in name)
        return
    with pytest.raises(ProviderError) as caught:
        call(client, server, case)
    check_error(case, caught.value)


@pytest.mark.parametrize("case", named(CASES))
def test_request_goes_where_the_recorded_one_went(case: dict[str, Any], client: Client, server: Server) -> None:
    server.answer = lambda _: whole(500, {}, b"")
    with pytest.raises(ProviderError):
        call(client, server, case)
    sent: Received = server.received[-1]
    assert sent.path == case["request"]["path"].replace("{model}", "recorded-model")
    assert sent.method == case["request"]["method"]
    assert case["request"]["auth_header"] in sent.headers


STREAMS = [case for case in CASES if case["stream"] and is_answered(case)]


@pytest.mark.parametrize("case", named(STREAMS))
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_stream_reads_the_same_however_it_is_cut(
    case: dict[str, Any], client: Client, server: Server, data: st.DataObject
) -> None:
    whole_body = body(case)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole_body)), max_size=40)))
    pieces = [whole_body[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole_body)], strict=True)]
    server.answer = lambda _: chunked(pieces, case["response"]["headers"])
    check(case, call(client, server, case))


@pytest.mark.parametrize("case", named(STREAMS))
def test_stream_reads_the_same_byte_by_byte(case: dict[str, Any], client: Client, server: Server) -> None:
    whole_body = body(case)
    server.answer = lambda _: chunked(
        (whole_body[i : i + 1] for i in range(len(whole_body))), case["response"]["headers"]
    )
    check(case, call(client, server, case))
