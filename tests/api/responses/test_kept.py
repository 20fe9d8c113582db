"""Responses that are kept: read, gone on from and forgotten in any process, by the key that made them and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI
from sqlalchemy import text

from app.access import keys
from app.domain.keys import Scope
from app.errors import InvalidRequest
from app.evidence.responses import Responses
from app.operations import retention
from app.store.responses import Kept
from tests.providers.server import whole
from tests.support import response_types
from tests.support.served import served
from tests.support.system import System
from tests.support.upstreams import Upstreams, said, streamed, upstreams


@dataclass(frozen=True)
class Two:
    """Two processes' worth of API in front of the same database."""

    urls: tuple[str, str]
    providers: Upstreams

    @property
    def system(self) -> System:
        return self.providers.system

    def heard(self) -> Any:
        """The messages that the provider got last."""
        return self.providers.servers["one"].received[-1].json["messages"]

    def ask(self, at: int = 0, key: str | None = None, **body: Any) -> requests.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return requests.post(
            f"{self.urls[at]}/v1/responses", json={"model": "one", **body}, headers=headers, timeout=30
        )

    def answered(self, at: int = 0, **body: Any) -> Any:
        response = self.ask(at, **body)
        assert response.status_code == 200, response.text
        if body.get("stream"):
            return response_types.sequence(response.content.decode())[-1]["response"]
        return response_types.response(response.json())


@contextmanager
def running(database_url: str, redis_url: str, folder: Path, **policy: Any) -> Iterator[Two]:
    with ExitStack() as stack:
        three = stack.enter_context(upstreams(database_url, redis_url, folder, **policy))
        first, second = (stack.enter_context(served(three.system)) for _ in range(2))
        yield Two((first, second), three)


@pytest.fixture
def two(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Two]:
    with running(database_url, redis_url, tmp_path) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
def test_another_process_goes_on_from_a_response(two: Two, stream: bool) -> None:
    if stream:
        two.providers.servers["one"].answer = lambda _: streamed("ye", "s")
    first = two.answered(input="one", instructions="Be brief.", stream=stream)
    second = two.answered(
        1, input=[{"role": "user", "content": "two"}], previous_response_id=first["id"], stream=stream
    )
    third = two.answered(0, input="three", previous_response_id=second["id"], instructions="Be long.", stream=stream)

    assert [each["store"] for each in (first, second, third)] == [True, True, True]
    assert third["previous_response_id"] == second["id"]
    assert two.heard() == [
        {"role": "system", "content": "Be long."},
        *({"role": role, "content": said} for said, role in zip(
            ("one", "yes", "two", "yes", "three"), ("user", "assistant", "user", "assistant", "user"), strict=True)),
    ]  # fmt: skip


def test_the_sdk_reads_lists_and_forgets(two: Two) -> None:
    with OpenAI(base_url=f"{two.urls[0]}/v1", api_key="x") as client:
        items: Any = [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "http://x/y"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "ok"},
            {"role": "assistant", "content": "hm"},
            {"role": "user", "content": "well?"},
        ]  # fmt: skip
        made = client.responses.create(model="one", input=items, metadata={"a": "b"})
        again = client.responses.retrieve(made.id)
        pages = client.responses.input_items.list(made.id, limit=4, order="asc")
        listed = list(pages)
        newest = client.responses.input_items.list(made.id, limit=1)

        assert again.to_dict() == made.to_dict()
        assert [item.type for item in listed] == ["message"] * 2 + ["function_call", "function_call_output"] + [
            "message"
        ] * 2
        response_types.items(json.loads(client.responses.input_items.with_raw_response.list(made.id).content))
        assert (newest.data[0].id, newest.has_more) == (listed[-1].id, True)  # type: ignore[union-attr]  # it has one
        client.responses.delete(made.id)
        for read in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
            with pytest.raises(openai.NotFoundError, match="kept here"):
                read(made.id)
        with pytest.raises(openai.BadRequestError) as failure:
            client.responses.create(model="one", input="more", previous_response_id=made.id)
        assert (failure.value.code, failure.value.param) == ("previous_response_not_found", "previous_response_id")


def test_what_was_said_is_gone_with_its_response(two: Two) -> None:
    first = two.answered(input="secret")
    second = two.answered(input="two", previous_response_id=first["id"])
    assert requests.delete(f"{two.urls[1]}/v1/responses/{first['id']}", json={}, timeout=5).json() == {
        "id": first["id"], "object": "response", "deleted": True,
    }  # fmt: skip

    response = two.ask(input="three", previous_response_id=second["id"])

    assert (response.status_code, response.json()["error"]["param"]) == (400, "previous_response_id")
    assert first["id"] in response.json()["error"]["message"]
    with two.system.services.engine.connect() as connection:
        assert "secret" not in str(connection.execute(text("SELECT * FROM responses")).all())


def test_items_are_referred_to_by_their_ids(two: Two) -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "", "reasoning_content": "hm", "tool_calls": [call]}
    document = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    two.providers.servers["one"].answer = lambda _: said_document(document)
    first = two.answered(input="one", tools=[tool])
    two.providers.servers["one"].answer = lambda _: said("done")
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    asked = {"role": "user", "content": "one"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}

    second = two.answered(1, input=[asked, *references, output], tools=[tool])

    assert [turn["role"] for turn in two.heard()] == ["user", "assistant", "tool"]
    assert two.heard()[1]["reasoning_content"] == "hm"
    # and what went in by reference can be referred to
    ids = [
        item["id"]
        for item in requests.get(f"{two.urls[0]}/v1/responses/{second['id']}/input_items", timeout=5).json()["data"]
    ]
    assert {item["id"] for item in first["output"]} < set(ids)
    for wrong in ("msg_x", f"msg_{'0' * 32}_0", first["output"][0]["id"] + "9"):
        response = two.ask(input=[asked, {"id": wrong}])
        assert (response.status_code, response.json()["error"]["param"]) == (400, "input.1.id")


def said_document(document: Any) -> list[bytes]:
    return whole(200, {"content-type": "application/json"}, json.dumps(document).encode())


def test_store_false_keeps_nothing(two: Two) -> None:
    document = two.answered(input="secret", store=False)

    assert document["store"] is False
    assert requests.get(f"{two.urls[0]}/v1/responses/{document['id']}", timeout=5).status_code == 404
    with two.system.services.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM responses")).scalar_one() == 0


def test_a_response_belongs_to_the_key_that_made_it(two: Two) -> None:
    services = two.system.services
    scopes = frozenset({Scope.CHAT})
    (_, anna), (_, ben) = (
        keys.create(services.sessions, services.redis, name, scopes, created_by="test") for name in ("anna", "ben")
    )
    services.keys.refresh(services.redis)
    made = two.ask(key=anna, input="hi").json()
    item = {"type": "item_reference", "id": made["output"][0]["id"]}

    assert two.ask(key=anna, input="more", previous_response_id=made["id"]).status_code == 200
    assert two.ask(key=anna, input=[item, {"role": "user", "content": "x"}]).status_code == 200
    for key in (ben, None):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        assert two.ask(key=key, input="more", previous_response_id=made["id"]).status_code == 400
        assert two.ask(key=key, input=[item]).status_code == 400
        for path in ("", "/input_items"):
            url = f"{two.urls[0]}/v1/responses/{made['id']}{path}"
            assert requests.get(url, headers=headers, timeout=5).status_code == 404
        assert requests.delete(url.removesuffix("/input_items"), json={}, headers=headers, timeout=5).status_code == 404


@pytest.mark.parametrize("policy", [{"store_responses": False}, {"log_share": 0.0}])
def test_where_none_is_kept_it_is_said(database_url: str, redis_url: str, tmp_path: Path, policy: Any) -> None:
    with running(database_url, redis_url, tmp_path, **policy) as two:
        assert two.answered(input="hi")["store"] is False
        for ask, field in (
            ({"store": True, "input": "hi"}, "store"),
            ({"previous_response_id": "resp_1", "input": "hi"}, "previous_response_id"),
            ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0.id"),
        ):
            response = two.ask(**ask)
            assert (response.status_code, response.json()["error"]["param"]) == (400, field)
            assert "store_responses" in response.json()["error"]["message"]


def test_old_responses_go_with_the_request_log(two: Two) -> None:
    old, young = two.answered(input="one"), two.answered(input="two")
    services = two.system.services
    days = timedelta(days=services.policy.gateway.log_days, minutes=1)
    with services.engine.begin() as connection:
        connection.execute(text("UPDATE responses SET at = at - :by WHERE id = :id"), {"by": days, "id": old["id"]})

    retention.retain(services)

    codes = [requests.get(f"{two.urls[0]}/v1/responses/{each['id']}", timeout=5).status_code for each in (old, young)]
    assert codes == [404, 200]


def test_a_database_that_does_not_answer_holds_nothing_up_for_long(two: Two) -> None:
    services = two.system.services
    with services.engine.begin() as connection:
        connection.execute(text("LOCK TABLE responses IN ACCESS EXCLUSIVE MODE"))
        document = two.answered(input="hi")
        assert document["store"] is False
        # at once, now that it is known
        assert two.answered(input="hi")["store"] is False
        response = two.ask(input="hi", previous_response_id=document["id"])
        assert (response.status_code, response.json()["error"]["code"]) == (503, "dependency_unavailable")


def test_a_conversation_that_is_too_long_is_refused(system: System) -> None:
    settings = replace(system.services.settings, max_body=1000)
    kept = Responses(replace(system.services, settings=settings))
    previous = None
    for turn in range(4):
        assert kept.keep("anna", Kept(f"resp_{turn}", previous, '["' + "x" * 200 + '"]', "{}"))
        previous = f"resp_{turn}"
    assert [row.id for row in kept.conversation("anna", "resp_2")] == ["resp_0", "resp_1", "resp_2"]
    assert kept.conversation("ben", "resp_2") == []

    for turn in range(4, 6):
        kept.keep("anna", Kept(f"resp_{turn}", previous, '["' + "x" * 200 + '"]', "{}"))
        previous = f"resp_{turn}"
    with pytest.raises(InvalidRequest, match="6 turns"):
        kept.conversation("anna", "resp_5")
    kept.stop()


@pytest.mark.parametrize(
    ("path", "field"),
    [("?stream=true", "stream"), ("/input_items?limit=0", "limit"), ("/input_items?limit=x", "limit"),
     ("/input_items?order=up", "order"), ("/input_items?after=nobody", "after")],
)  # fmt: skip
def test_a_wrong_question_is_refused_by_name(two: Two, path: str, field: str) -> None:
    made = two.answered(input="hi")

    response = requests.get(f"{two.urls[0]}/v1/responses/{made['id']}{path}", timeout=5)

    assert (response.status_code, response.json()["error"]["param"]) == (400, field)


def test_thoughts_are_kept_and_shown_to_who_asks(two: Two) -> None:
    document = {"choices": [{"message": {"content": "yes", "reasoning_content": "hm"}, "finish_reason": "stop"}]}
    two.providers.servers["one"].answer = lambda _: said_document(document)
    made = two.answered(input="hi")
    url = f"{two.urls[0]}/v1/responses/{made['id']}"

    assert "encrypted_content" not in json.dumps(made)
    assert "encrypted_content" not in requests.get(url, timeout=5).text
    asked = requests.get(url, params={"include[]": "reasoning.encrypted_content"}, timeout=5).json()
    assert asked["output"][0]["encrypted_content"]
    two.answered(1, input="more", previous_response_id=made["id"])
    assert two.heard()[1] == {"role": "assistant", "content": "yes", "reasoning_content": "hm"}
