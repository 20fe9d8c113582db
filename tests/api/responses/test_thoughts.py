"""Codex's way through four formats: items go back as they came, and each provider gets what it gave, and only that."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.api.responses import thoughts
from app.api.responses.thoughts import Thoughts, packed, unpacked
from tests.api.openai.test_travelling import MODELS, PIXEL, RULES, answer, events, has_its_own, is_whole, spelled
from tests.support import response_types
from tests.support.recording import Recording, recording

LOOK: Any = {
    "type": "function",
    "name": "look.at",
    "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    "strict": False,
}
#: what Codex keeps of an item; it sends nothing else back
KEPT = {
    "reasoning": ("type", "summary", "encrypted_content"),
    "message": ("type", "role", "content"),
    "function_call": ("type", "name", "arguments", "call_id"),
}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    with recording(tmp_path_factory.mktemp("recorded")) as made:
        yield made


def asked(front: Recording, model: str, history: list[Any], *, stream: bool, **more: Any) -> list[Any]:
    """The output, as Codex keeps it."""
    body = {
        "model": model,
        "instructions": "Be brief.",
        "input": history,
        "tools": [LOOK],
        "stream": stream,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        **more,
    }
    response = requests.post(f"{front.url}/v1/responses", json=body, timeout=30)
    assert response.status_code == 200, response.text
    document = response_types.sequence(response.content.decode())[-1]["response"] if stream else response.json()
    output: list[Any] = response_types.response(document)["output"]
    return [{name: item[name] for name in KEPT[item["type"]] if name in item} for item in output]


def outputs(output: list[Any], turn: int) -> list[Any]:
    """The second call's first; a picture with the first call's."""
    first, second = (item["call_id"] for item in output if item["type"] == "function_call")
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
    text = {"type": "input_text", "text": f"first result {turn}"}
    return [
        {"type": "function_call_output", "call_id": second, "output": f"second result {turn}"},
        {"type": "function_call_output", "call_id": first, "output": [text, picture]},
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_ten_turns_over_four_formats_lose_nothing(front: Recording, stream: bool) -> None:
    history: list[Any] = [{"role": "user", "content": "Look around."}]
    for turn in range(10):
        model = MODELS[turn % len(MODELS)]
        provider = model.split("/")[0]
        server = front.servers[provider]
        server.received.clear()
        document = answer(provider, turn, spelled(provider))
        if stream:
            front.stream(provider, events(provider, document))
        else:
            front.answer(provider, document)
        output = asked(front, model, history, stream=stream)
        body = server.received[0].json
        assert RULES[provider](body) == []
        is_whole(body, turn)
        has_its_own(body, provider, turn)
        assert [item["name"] for item in output if item["type"] == "function_call"] == ["look.at", "look.at"]
        history += [*output, *outputs(output, turn)]


@pytest.mark.parametrize("include", [None, []])
def test_thoughts_are_not_given_to_who_does_not_ask(front: Recording, include: Any) -> None:
    front.answer("anthropic", answer("anthropic", 0, "look_at_005ed52f"))

    output = asked(
        front, "anthropic/claude-haiku-4-5", [{"role": "user", "content": "Look."}], stream=False, include=include
    )

    assert output[0] == {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thought 0"}]}
    assert "encrypted_content" not in json.dumps(output)


def forged(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def nested(opens: bytes, closes: bytes, levels: int) -> str:
    inside = opens * levels + (b"1" if b":" in opens else b"") + closes * levels
    return base64.urlsafe_b64encode(b'{"tooloo":1,"extra":{"extra_content":{"a":' + inside + b"}}}").decode()


@pytest.mark.parametrize(
    "given",
    [
        "gAAAAABo-openai's own",
        "ü",
        "AAAA",
        forged([]),
        forged({"reasoning": "x"}),
        forged({"tooloo": 2, "reasoning": "x"}),
        forged({"tooloo": 1, "reasoning": ["x"]}),
        forged({"tooloo": 1, "extra": {"messages": []}}),
        forged({"tooloo": 1, "extra": {"thinking_blocks": {}}}),
        forged({"tooloo": 1, "extra": {"thinking_blocks": ["x"]}}),
        forged({"tooloo": 1, "calls": {"a": "x"}}),
        nested(b"[", b"]", 9999),
        nested(b'{"a":', b"}", 300),
    ],
)  # fmt: skip
def test_what_is_not_of_our_making_is_left_out_and_named(front: Recording, given: str) -> None:
    front.reset()
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": given}
    body = {"model": "anthropic", "input": [{"role": "user", "content": "hi"}, item], "store": False}

    response = requests.post(f"{front.url}/v1/responses", json=body, timeout=30)

    assert response.status_code == 200, response.text
    assert response.headers["x-tooloo-dropped-parameters"] == "reasoning.encrypted_content"


@pytest.mark.parametrize("model", [*MODELS, "deepseek/deepseek-reasoner"])
def test_a_forged_thought_is_what_the_same_field_of_a_message_is(front: Recording, model: str) -> None:
    front.reset()
    blocks = [{"type": "thinking", "thinking": "x", "signature": "forged"}, {"type": "tool_use", "id": "x"}]
    extra = {"thinking_blocks": blocks, "extra_content": {"google": {"thought_signature": 5}}}
    given = forged({"tooloo": 1, "reasoning": "x", "extra": extra, "calls": {"c1": {"google": []}, "other": {}}})
    history = [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "summary": [], "encrypted_content": given},
        {"type": "function_call", "call_id": "c1", "name": "look.at", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    ]
    server = front.servers[model.split("/")[0]]
    server.received.clear()

    asked(front, model, history, stream=False)

    written = json.dumps(server.received[0].json)
    assert 'tool_use", "id": "x' not in written
    assert ("forged" in written) is (model.startswith("anthropic"))


def test_what_is_packed_is_what_is_unpacked() -> None:
    given = Thoughts(
        "über\ud83d", {"thinking_blocks": [{"a": 1}]}, {"c": {"google": {"thought_signature": "s"}}}, behind=True
    )

    assert unpacked(packed(given)) == given
    assert unpacked(packed(Thoughts())) == Thoughts()


def test_pieces_of_one_index_are_one_element() -> None:
    first = {"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "a", "id": "i"}]}
    more = {"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "b", "id": "i", "signature": "s"}]}

    joined = thoughts.merged(first, more)

    assert joined == {
        "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "ab", "id": "i", "signature": "s"}]
    }
    assert first["reasoning_details"][0]["text"] == "a"
