"""Histories that agents send: what reached the provider, and what the client got."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import refusals
from tests.support.recording import Recording

U: Any = {"role": "user", "content": "hi"}
F: Any = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
PIXEL = "iVBORw0KGgo="
CLAUDE, GEMINI, COMPAT = "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "compat/m"
MARK = {"type": "ephemeral"}


def call(call_id: str, name: str = "f", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calling(*calls: dict[str, Any], content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls), **more}


def result(call_id: str, content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def picture(url: str = f"data:image/png;base64,{PIXEL}") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


@pytest.mark.parametrize("blank", ["", "\n", " \n\n", [text("\n")]])
def test_blank_turns_do_not_reach_claude(front: Recording, blank: Any) -> None:
    sent = front.sent(CLAUDE, [U, {"role": "assistant", "content": blank}, U])
    assert sent["messages"] == [{"role": "user", "content": [text("hi"), text("hi")]}]
    sent = front.sent(CLAUDE, [U, calling(call("c1"), content=blank), result("c1")])
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["tool_use"]
    sent = front.sent(CLAUDE, [{"role": "user", "content": blank}])
    assert sent["messages"][0]["content"] == [text("(empty message)")]


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, COMPAT, "openai/gpt-4.1-mini"])
def test_a_conversation_in_which_nobody_says_anything_is_refused_here(front: Recording, model: str) -> None:
    response = front.ask(model, [{"role": "assistant", "content": " "}])
    assert response.status_code == 400
    assert "say nothing" in response.json()["error"]["message"]
    assert front.servers[model.split("/")[0]].received == []


def test_ids_of_other_vendors_are_spelled_for_claude(front: Recording) -> None:
    history = [
        U,
        calling(call("functions.f:0"), call("functions_f_0")),
        result("functions_f_0"),
        result("functions.f:0"),
    ]
    sent = front.sent(CLAUDE, history)
    uses = [block["id"] for block in sent["messages"][1]["content"]]
    results = [block["tool_use_id"] for block in sent["messages"][2]["content"]]
    assert uses == results
    assert uses[1] == "functions_f_0" != uses[0]
    assert refusals.anthropic(sent) == []
    again = front.sent(CLAUDE, [*history, U])
    assert [block["id"] for block in again["messages"][1]["content"]] == uses  # what is cached stays the same


def test_ids_that_repeat_are_told_apart_and_belong_to_the_nearest_call(front: Recording) -> None:
    history = [
        U,
        calling(call("call_0", "f")),
        result("call_0", "one"),
        calling(call("call_0", "g")),
        result("call_0", "two"),
    ]
    sent = front.sent(CLAUDE, history)
    uses = {b["id"]: b["name"] for turn in sent["messages"] for b in turn["content"] if b["type"] == "tool_use"}
    assert sorted(uses.values()) == ["f", "g"]
    told = {
        uses[block["tool_use_id"]]: block["content"][0]["text"]
        for turn in sent["messages"]
        for block in turn["content"]
        if block["type"] == "tool_result"
    }
    assert told == {"f": "one", "g": "two"}
    parts = [part for turn in front.sent(GEMINI, history)["contents"] for part in turn["parts"]]
    answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
    assert [(each["name"], each["response"]) for each in answers] == [
        ("f", {"result": "one"}),
        ("g", {"result": "two"}),
    ]


@pytest.mark.parametrize(
    ("model", "longest", "exact"), [("openai/gpt-4.1-mini", 40, False), ("compat/mistral-large-latest", 9, True)]
)
def test_ids_have_the_length_that_is_taken(front: Recording, model: str, longest: int, exact: bool) -> None:
    long = "toolu_" + "x" * 60
    turns = front.sent(model, [U, calling(call(long), call("call_1")), result(long), result("call_1")])["messages"]
    ids = [each["id"] for each in turns[1]["tool_calls"]]
    assert [turn["tool_call_id"] for turn in turns[2:]] == ids
    assert all(len(each) == 9 and each.isalnum() if exact else len(each) <= longest for each in ids)
    assert len(set(ids)) == 2


def test_instructions_alone_are_the_users_words(front: Recording) -> None:
    alone = [{"role": "system", "content": "Say hi."}]
    assert front.sent(CLAUDE, alone)["messages"] == [{"role": "user", "content": [text("Say hi.")]}]
    assert front.sent(GEMINI, alone)["contents"] == [{"role": "user", "parts": [{"text": "Say hi."}]}]
    assert front.sent(COMPAT, alone)["messages"] == alone


@pytest.mark.parametrize(
    ("model", "role"), [("openai/gpt-4.1-mini", "developer"), ("deepseek/deepseek-chat", "system"), (COMPAT, "system")]
)
def test_role_developer_is_openais_own(front: Recording, model: str, role: str) -> None:
    sent = front.sent(model, [{"role": "developer", "content": "Be brief."}, U])
    assert [turn["role"] for turn in sent["messages"]] == [role, "user"]


@pytest.mark.parametrize(
    "head", ["data:image/jpg;base64", "data:IMAGE/JPEG;base64", "data:image/jpeg;charset=utf-8;base64"]
)
def test_a_media_type_is_told_as_everybody_knows_it(front: Recording, head: str) -> None:
    asked = [{"role": "user", "content": [text("what?"), picture(f"{head},/9j/AA==")]}]
    source = front.sent(CLAUDE, asked)["messages"][0]["content"][1]["source"]
    assert source == {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AA=="}
    inline = front.sent(GEMINI, asked)["contents"][0]["parts"][1]["inlineData"]
    assert inline == {"mimeType": "image/jpeg", "data": "/9j/AA=="}
    sent = front.sent("openai/gpt-4.1-mini", asked)["messages"][0]["content"][1]
    assert sent == picture("data:image/jpeg;base64,/9j/AA==")


def test_a_bare_url_is_an_object_for_openai(front: Recording) -> None:
    asked = [{"role": "user", "content": [{"type": "image_url", "image_url": "https://h/x.png"}]}]
    assert front.sent("openai/gpt-4.1-mini", asked)["messages"][0]["content"] == [picture("https://h/x.png")]


def test_calls_without_words_have_null_content(front: Recording) -> None:
    sent = front.sent(COMPAT, [U, calling(call("call_1")), result("call_1", "x")])
    assert sent["messages"] == [U, calling(call("call_1")), result("call_1", "x")]


def test_parts_of_text_alone_are_one_text(front: Recording) -> None:
    sent = front.sent(
        COMPAT, [{"role": "system", "content": [text("be "), text("brief")]}, {"role": "user", "content": [text("hi")]}]
    )
    assert [turn["content"] for turn in sent["messages"]] == ["be brief", "hi"]


THOUGHTFUL: Any = [
    U,
    calling(call("call_1", "get_date"), reasoning_content="I need the date."),
    result("call_1", "2026-01-01"),
]


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("deepseek/deepseek-reasoner", "reasoning_content"),
        (COMPAT, "reasoning_content"),
        ("groq/llama-3.3-70b", "reasoning"),
    ],
)
def test_what_a_model_thought_goes_back_to_it(front: Recording, model: str, field: str) -> None:
    assert front.sent(model, THOUGHTFUL)["messages"][1][field] == "I need the date."


@pytest.mark.parametrize("model", ["openai/gpt-4.1-mini", "compat/mistral-large-latest", CLAUDE, GEMINI])
def test_what_a_model_thought_is_named_where_it_is_not_told(front: Recording, model: str) -> None:
    response = front.ask(model, THOUGHTFUL)
    assert "I need the date." not in str(front.servers[model.split("/")[0]].received[0].json)
    assert "reasoning_content" in response.headers["x-tooloo-dropped-parameters"].split(",")


@pytest.mark.parametrize("model", ["deepseek/deepseek-reasoner", "compat/kimi-k2-thinking"])
def test_a_turn_that_was_thought_elsewhere_is_taken_by_models_that_want_a_thought(front: Recording, model: str) -> None:
    sent = front.sent(model, [U, calling(call("call_1")), result("call_1")], tools=[F])
    assert sent["messages"][1]["reasoning_content"] == " "
    assert (
        "reasoning_content"
        not in front.sent("deepseek/deepseek-chat", [U, calling(call("c")), result("c")])["messages"][1]
    )


SIGNATURE: Any = {"google": {"thought_signature": "c2ln"}}


def test_a_text_that_gemini_signed_goes_back_signed(front: Recording) -> None:
    parts = [{"text": "42"}, {"text": "", "thoughtSignature": "c2ln"}]
    front.answer("gemini", {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
    said = front.ask(GEMINI, [U]).json()["choices"][0]["message"]
    assert (said["content"], said["extra_content"]) == ("42", SIGNATURE)
    assert front.sent(GEMINI, [U, said, U])["contents"][1]["parts"] == [{"text": "42", "thoughtSignature": "c2ln"}]
    response = front.ask(COMPAT, [U, said, U])
    assert front.servers["compat"].received[0].json["messages"][1] == {"role": "assistant", "content": "42"}
    assert "extra_content" in response.headers["x-tooloo-dropped-parameters"].split(",")


@pytest.mark.parametrize("model", [GEMINI, "gemini/gemini-3-pro-preview"])
def test_a_call_that_gemini_signed_goes_back_signed(front: Recording, model: str) -> None:
    history = [U, calling(call("c1", extra_content=SIGNATURE), call("c2")), result("c1"), result("c2")]
    parts = front.sent(model, history)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["c2ln", None]


def test_geminis_signatures_reach_its_openai_endpoint(front: Recording) -> None:
    model = "compat/gemini-3-pro-preview"
    history = [U, calling(call("c1", extra_content=SIGNATURE)), result("c1"), calling(call("c2")), result("c2")]
    turns = front.sent(model, history)["messages"]
    assert turns[1]["tool_calls"][0]["extra_content"] == SIGNATURE
    stand_in = {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert turns[3]["tool_calls"][0]["extra_content"] == stand_in
    answer = {"role": "assistant", "content": None, "tool_calls": [call("c3", extra_content=SIGNATURE)]}
    front.answer("compat", {"choices": [{"message": answer, "finish_reason": "tool_calls"}]})
    said = front.ask(model, [U]).json()["choices"][0]["message"]
    assert said["tool_calls"][0]["extra_content"] == SIGNATURE


def test_a_thought_without_a_signature_is_left_out_and_named(front: Recording) -> None:
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "thinking", "thinking": "So.", "signature": "c2ln"}]
    response = front.ask(CLAUDE, [U, calling(call("c1"), thinking_blocks=blocks), result("c1")])
    sent = front.servers["anthropic"].received[0].json["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["thinking", "tool_use"]
    assert sent[0] == blocks[1]
    assert "thinking_blocks" in response.headers["x-tooloo-dropped-parameters"].split(",")


def test_thoughts_among_the_parts_are_taken_as_claude_gave_them(front: Recording) -> None:
    thought = {"type": "thinking", "thinking": "So.", "signature": "c2ln"}
    said = {"role": "assistant", "content": [thought, text("42")]}
    assert front.sent(CLAUDE, [U, said, U])["messages"][1]["content"] == [thought, text("42")]
    assert front.sent("openai/gpt-4.1-mini", [U, said, U])["messages"][1]["content"] == "42"


def test_results_follow_the_order_of_their_calls(front: Recording) -> None:
    history = [
        U,
        calling(call("c_oslo", "w"), call("c_rome", "w")),
        result("c_rome", "30"),
        U,
        result("c_oslo", "-5"),
        U,
    ]
    parts = front.sent(GEMINI, history)["contents"][2]["parts"]
    assert [(part["functionResponse"]["id"], part["functionResponse"]["response"]["result"]) for part in parts[:2]] == [
        ("c_oslo", "-5"),
        ("c_rome", "30"),
    ]
    assert parts[2:] == [{"text": "hi"}, {"text": "hi"}]
    turns = front.sent(COMPAT, history)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "tool", "user", "user"]
    calls = [part["functionCall"]["id"] for part in front.sent(GEMINI, history)["contents"][1]["parts"]]
    assert calls == ["c_oslo", "c_rome"]


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, COMPAT])
def test_a_call_without_a_result_gets_one_that_says_so(front: Recording, model: str) -> None:
    assert "(no result)" in str(front.sent(model, [U, calling(call("c1")), U]))


@pytest.mark.parametrize(
    "history",
    [[U, result("c1")], [U, calling(call("c1")), result("c1"), result("c1")], [U, result("c1"), calling(call("c1"))]],
)
def test_a_result_without_a_call_is_refused_by_its_name(front: Recording, history: list[Any]) -> None:
    error = front.ask(COMPAT, history).json()["error"]
    place = max(n for n, turn in enumerate(history) if turn["role"] == "tool")
    assert error["param"] == f"messages.{place}.tool_call_id"


def test_images_of_a_result_are_shown(front: Recording) -> None:
    history = [
        U,
        calling(call("c1"), call("c2")),
        result("c1", [text("a dog"), picture()]),
        result("c2", [picture()]),
        U,
    ]
    turns = front.sent("openai/gpt-4.1-mini", history)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert (turns[2]["content"], turns[3]["content"]) == ("a dog", "(see the next message)")
    assert [part for part in turns[4]["content"] if part["type"] == "image_url"] == [picture(), picture()]
    results = front.sent(CLAUDE, history)["messages"][2]["content"]
    assert [block["type"] for block in results[0]["content"]] == ["text", "image"]
    parts = front.sent(GEMINI, history)["contents"][2]["parts"]
    assert sum("inlineData" in part for part in parts) == 2
    assert refusals.gemini(front.sent(GEMINI, history)) == []


@pytest.mark.parametrize("broken", ['{"a": ', "[1]", "NaN", '{"a": Infinity}', '{"a": 1e999}', "nonsense"])
def test_broken_arguments_of_an_earlier_call_are_told_as_text(front: Recording, broken: str) -> None:
    history = [U, calling(call("c1", "f", broken)), result("c1", "no JSON"), U]
    assert front.sent(CLAUDE, history)["messages"][1]["content"][0]["input"] == {"INVALID_JSON": broken}
    assert front.sent(GEMINI, history)["contents"][1]["parts"][0]["functionCall"]["args"] == {"INVALID_JSON": broken}
    told = front.sent(COMPAT, history)["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(told) == {"INVALID_JSON": broken}
    own = front.sent("openai/gpt-4.1-mini", history)["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert own == broken


def test_an_assistant_may_be_first_and_last(front: Recording) -> None:
    greeting = {"role": "assistant", "content": "Hello! \n"}
    turns = front.sent(CLAUDE, [greeting])["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"]
    assert turns[1]["content"] == [text("Hello!")]
    turns = front.sent("anthropic/claude-opus-4-6", [U, greeting])["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert front.sent(GEMINI, [greeting, U])["contents"][0]["role"] == "user"


def test_cache_marks_reach_claude_and_are_named_elsewhere(front: Recording) -> None:
    history = [
        {"role": "system", "content": [text("long", cache_control=MARK)]},
        {"role": "user", "content": [text("hi", cache_control=MARK)]},
    ]
    tools = [F | {"cache_control": MARK}]
    sent = front.sent(CLAUDE, history, tools=tools)
    assert sent["system"] == [text("long", cache_control=MARK)]
    assert sent["messages"][0]["content"] == [text("hi", cache_control=MARK)]
    assert sent["tools"][0]["cache_control"] == MARK
    for model in ("openai/gpt-4.1-mini", "deepseek/deepseek-chat", COMPAT, GEMINI):
        response = front.ask(model, history, tools=tools)
        assert "cache_control" in response.headers["x-tooloo-dropped-parameters"]
        assert b"cache_control" not in front.servers[model.split("/")[0]].received[0].body
    marked = [{"role": "user", "content": [text(str(n), cache_control=MARK) for n in range(6)]}]
    blocks = front.sent(CLAUDE, marked)["messages"][0]["content"]
    assert ["cache_control" in block for block in blocks] == [False, False, True, True, True, True]


TWO: Any = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
}


@pytest.mark.parametrize(
    ("schema", "folded"),
    [
        (TWO, {"type": "object", "properties": TWO["properties"]}),
        ({"properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
        (None, {}),
        ({}, {}),
        (
            {
                "oneOf": [
                    {"properties": {"a": {}, "k": {}}, "required": ["k", "a"]},
                    {"properties": {"k": {}}, "required": ["k"]},
                ]
            },
            {"type": "object", "properties": {"a": {}, "k": {}}, "required": ["k"]},
        ),
        (
            {
                "$defs": {"P": {"type": "object", "properties": {"x": {}}, "required": ["x"]}},
                "allOf": [{"$ref": "#/$defs/P"}, {"properties": {"y": {}}}],
            },
            {
                "$defs": {"P": {"type": "object", "properties": {"x": {}}, "required": ["x"]}},
                "type": "object",
                "properties": {"x": {}, "y": {}},
                "required": ["x"],
            },
        ),
    ],
)
def test_a_tools_schema_is_one_object_for_claude(front: Recording, schema: Any, folded: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    written = front.sent(CLAUDE, [U], tools=[tool])["tools"][0]["input_schema"]
    assert written == {"type": "object", "properties": {}} | folded
    for model in ("openai/gpt-4.1-mini", "deepseek/deepseek-chat", COMPAT):
        told = front.sent(model, [U], tools=[tool])["tools"][0]["function"].get("parameters")
        assert told is None if schema is None else told["type"] == "object"
    assert refusals.gemini(front.sent(GEMINI, [U], tools=[tool])) == []


def test_strict_of_a_tool_reaches_claude_and_is_named_elsewhere(front: Recording) -> None:
    tool = {"type": "function", "function": {**F["function"], "strict": True}}
    assert front.sent(CLAUDE, [U], tools=[tool])["tools"][0]["strict"] is True
    assert front.sent("openai/gpt-4.1-mini", [U], tools=[tool])["tools"][0]["function"]["strict"] is True
    for model in (GEMINI, "anthropic/claude-3-5-haiku-latest"):
        assert "tools.strict" in front.ask(model, [U], tools=[tool]).headers["x-tooloo-dropped-parameters"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "answer"),
    [
        (
            "openai/gpt-4.1-mini",
            lambda name: {"choices": [{"message": {"tool_calls": [call("c1", name)]}, "finish_reason": "tool_calls"}]},
        ),
        (
            CLAUDE,
            lambda name: {
                "content": [{"type": "tool_use", "id": "c1", "name": name, "input": {}}],
                "stop_reason": "tool_use",
            },
        ),
        (
            GEMINI,
            lambda name: {
                "candidates": [
                    {"content": {"parts": [{"functionCall": {"name": name, "args": {}}}]}, "finishReason": "STOP"}
                ]
            },
        ),
    ],
)
def test_a_tools_name_is_spelled_on_the_way_and_back(front: Recording, model: str, answer: Any, stream: bool) -> None:
    name = "2 mcp/server.tool with a name that is far too long for any provider of them all, " + "x" * 80
    tool = {"type": "function", "function": {**F["function"], "name": name}}
    history = [U, calling(call("c0", name)), result("c0")]
    choice = {"type": "function", "function": {"name": name}}
    body = front.sent(model, history, tools=[tool], tool_choice=choice)
    assert name not in json.dumps(body)
    check = {
        "openai": lambda: refusals.openai(body, "openai"),
        "anthropic": lambda: refusals.anthropic(body),
        "gemini": lambda: refusals.gemini(body),
    }
    provider = model.split("/")[0]
    assert check[provider]() == []
    sent = json.dumps(body)
    spelled = next(word for word in sent.split('"') if word.endswith(sent.split('"name": "')[1].split('"')[0]))
    front.answer(provider, answer(spelled))
    response = front.ask(model, history, tools=[tool], stream=stream)
    if stream:
        chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        named = [
            c["function"].get("name") for chunk in chunks for c in chunk["choices"][0]["delta"].get("tool_calls", [])
        ]
        assert named[0] == name
    else:
        assert response.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == name


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "user", "content": [{"type": "video", "video": {}}]}], "messages.0.content.0.type"),
        ([{"role": "user", "content": [{"type": "thinking", "thinking": "…"}]}], "messages.0.content.0.type"),
        (
            [U, {"role": "user", "content": [text("a"), {"type": "image_url", "image_url": {}}]}],
            "messages.1.content.1.image_url.url",
        ),
        ([{"role": "user", "content": [{"type": "file", "file": {}}]}], "messages.0.content.0.file.file_data"),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA"}}]}],
            "messages.0.content.0.input_audio.format",
        ),
        ([{"role": "user", "content": [picture("data:image/png,no-base64")]}], "messages.0.content.0.image_url.url"),
        ([{"role": "user", "content": 3}], "messages.0.content"),
        ([{"role": "user", "content": None}], "messages.0.content"),
        ([{"role": "system", "content": [picture()]}], "messages.0.content.0.type"),
        ([{"role": "wizard", "content": "hi"}], "messages.0.role"),
        (["hi"], "messages.0"),
        ([U, calling({"id": "c1", "function": {"arguments": "{}"}})], "messages.1.tool_calls.0.function.name"),
        ([U, calling({"id": 7, "function": {"name": "f"}})], "messages.1.tool_calls.0.id"),
        ([U, calling(call("c1")), {"role": "tool", "content": "ok"}], "messages.2.tool_call_id"),
        ([{"role": "user", "content": "hi", "cache_control": "yes"}], "messages.0.cache_control"),
    ],
)
def test_a_fault_is_named_where_it_is(front: Recording, messages: list[Any], param: str) -> None:
    response = front.ask("auto", messages)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert response.json()["error"]["message"].startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": [1]}, "stop.0"),
        ({"tools": [F], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"tools": [F], "tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
    ],
)
def test_a_fault_is_not_named_by_a_branch(front: Recording, body: dict[str, Any], param: str) -> None:
    error = front.ask("auto", [U], **body).json()["error"]
    assert error["param"] == param
    assert not any(word in error["message"] for word in ("literal[", ".str", "_ToolChoice"))


def test_files_and_audio_are_told_to_those_who_take_them(front: Recording) -> None:
    pdf = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}}
    asked = [{"role": "user", "content": [pdf, text("what?")]}]
    assert front.sent("openai/gpt-4.1-mini", asked)["messages"][0]["content"][0] == pdf
    assert front.sent(CLAUDE, asked)["messages"][0]["content"][0] == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        "title": "a.pdf",
    }
    inline = front.sent(GEMINI, asked)["contents"][0]["parts"][0]["inlineData"]
    assert inline == {"mimeType": "application/pdf", "data": "JVBERi0="}
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    asked = [{"role": "user", "content": [sound]}]
    assert front.sent("openai/gpt-4.1-mini", asked)["messages"][0]["content"] == [sound]
    assert front.sent(GEMINI, asked)["contents"][0]["parts"][0] == {
        "inlineData": {"mimeType": "audio/wav", "data": "AAAA"}
    }
    assert front.ask(CLAUDE, asked).json()["error"]["code"] == "unsupported"


def test_an_image_passes_over_targets_that_cannot_see(front: Recording) -> None:
    response = front.ask("deepseek", [{"role": "user", "content": [picture()]}])
    assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported")
    response = front.ask("auto", [{"role": "user", "content": [picture()]}])
    assert response.status_code == 200
    assert not response.headers["x-tooloo-target"].startswith("deepseek")


def test_names_and_refusals_are_kept_where_there_is_a_place_for_them(front: Recording) -> None:
    history = [U | {"name": "anna"}, {"role": "assistant", "content": None, "refusal": "No."}, U]
    turns = front.sent("openai/gpt-4.1-mini", history)["messages"]
    assert turns[0]["name"] == "anna"
    assert (turns[1]["content"], turns[1]["refusal"]) == (None, "No.")
    assert front.sent(COMPAT, history)["messages"][1] == {"role": "assistant", "content": "No."}
    assert "name" in front.ask(CLAUDE, history).headers["x-tooloo-dropped-parameters"].split(",")
