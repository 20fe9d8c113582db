"""What is sent: one request in our vocabulary, told to each provider in its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import BadRequest, Unsupported
from app.providers.base import ChatRequest, Message, ToolCall
from app.providers.conversation import Audio, File, Image, Text
from app.providers.wire.formats import FORMATS
from tests.providers.calls import endpoint
from tests.support import bodies

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI
USER = Message("user", "Hello")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": SCHEMA}}
CALLS = (ToolCall("call_a", "weather", '{"city": "Köln"}'), ToolCall("call_b", "time", ""))
PIXEL = "data:image/png;base64,iVBORw0KGgo="
MODELS = {OPENAI: "gpt-4.1-mini", ANTHROPIC: "claude-haiku-4-5", GEMINI: "gemini-2.5-flash"}


def told(
    wire: WireFormat, *messages: Message, model: str | None = None, stream: bool = False, **parameters: Any
) -> dict[str, Any]:
    """The body that goes out, with `dropped` beside it."""
    request = ChatRequest(messages=messages or (USER,), **parameters)
    outgoing = FORMATS[wire].build(endpoint("http://h"), model or MODELS[wire], request, stream)
    bodies.note(outgoing.url, {"user-agent": "tooloo"}, outgoing.body)
    document: dict[str, Any] = json.loads(outgoing.body)
    return document | {"dropped": set(outgoing.dropped)}


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (
            OPENAI,
            {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}], "dropped": set()},
        ),
        (
            ANTHROPIC,  # demands a limit
            {
                "model": "claude-haiku-4-5",
                "max_tokens": 64_000,
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
                "dropped": set(),
            },
        ),
        (GEMINI, {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "dropped": set()}),
    ],
)
def test_what_is_not_asked_for_is_not_sent(wire: WireFormat, expected: dict[str, Any]) -> None:
    assert told(wire) == expected


EVERYTHING: dict[str, Any] = {
    "max_tokens": 50,
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ("END",),
    "seed": 7,
    "json_mode": True,
}


def test_openai_has_every_parameter() -> None:
    sent = told(OPENAI, **EVERYTHING)
    assert (
        sent
        | {
            "max_tokens": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "stop": ["END"],
            "seed": 7,
            "response_format": {"type": "json_object"},
        }
        == sent
    )
    assert sent["dropped"] == set()


def test_anthropic_drops_what_it_has_not() -> None:
    sent = told(ANTHROPIC, **EVERYTHING)
    assert set(sent) == {"model", "messages", "max_tokens", "temperature", "stop_sequences", "dropped"}
    assert (sent["max_tokens"], sent["temperature"], sent["stop_sequences"]) == (50, 0.5, ["END"])
    # top_p: refused beside temperature since Claude 4.1
    assert sent["dropped"] == {"top_p", "frequency_penalty", "presence_penalty", "seed", "json_mode"}


def test_gemini_has_all_but_penalties() -> None:
    sent = told(GEMINI, **EVERYTHING)
    assert sent["generationConfig"] == {
        "maxOutputTokens": 50,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["END"],
        "seed": 7,
        "responseMimeType": "application/json",
    }
    assert sent["dropped"] == {"frequency_penalty", "presence_penalty"}


def test_json_mode_beside_tools_is_not_sent_to_a_gemini_that_refuses_the_two() -> None:
    sent = told(GEMINI, tools=(TOOL,), json_mode=True)
    assert "generationConfig" not in sent
    assert sent["dropped"] == {"json_mode"}
    newer = told(GEMINI, model="gemini-3-pro-preview", tools=(TOOL,), json_mode=True)
    assert newer["generationConfig"] == {"responseMimeType": "application/json"}
    assert newer["dropped"] == set()


def test_older_gemini_has_penalties_too() -> None:
    sent = told(GEMINI, model="gemini-2.0-flash", **EVERYTHING)
    assert sent["generationConfig"]["frequencyPenalty"] == 0.1
    assert sent["generationConfig"]["presencePenalty"] == 0.2
    assert sent["dropped"] == set()


@pytest.mark.parametrize("wire", WireFormat)
def test_penalty_of_zero_is_every_providers_default_and_not_sent(wire: WireFormat) -> None:
    assert told(wire, frequency_penalty=0, presence_penalty=0.0) == told(wire)


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("o1", True),
        ("o3-mini", True),
        ("o4-mini-2025-04-16", True),
        ("gpt-5", True),
        ("gpt-5.1", True),
        ("gpt-5-mini", True),
        ("openai/gpt-5", True),  # OpenRouter
        ("gpt-6", True),  # what comes after it is taken for the same kind
        ("gpt-5-chat-latest", False),
        ("gpt-4o", False),
        ("gpt-4.1-mini", False),
        ("deepseek-chat", False),
        ("o12", False),
        ("foo3", False),
    ],
)
def test_reasoning_models_of_openai_are_spared_what_they_refuse(model: str, reasons: bool) -> None:
    sent = told(OPENAI, model=model, **EVERYTHING)
    refused = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "stop"}
    assert sent["dropped"] == (refused if reasons else set())
    assert refused.isdisjoint(sent) is reasons
    assert sent["max_completion_tokens" if reasons else "max_tokens"] == 50
    assert ("max_tokens" in sent) is not reasons


@pytest.mark.parametrize(
    ("model", "parameters", "sent", "dropped"),
    [
        ("claude-haiku-4-5", {"top_p": 0.9}, {"top_p": 0.9}, set()),
        ("claude-3-5-haiku-latest", {"temperature": 0.2}, {"temperature": 0.2}, set()),
        ("claude-sonnet-4-20250514", {"temperature": 0.2}, {"temperature": 0.2}, set()),  # a date is no version
        ("claude-haiku-4-5", {"temperature": 1.5}, {}, {"temperature"}),  # its default, 1, is its maximum
        ("claude-haiku-4-5", {"temperature": 1.5, "top_p": 0.9}, {"top_p": 0.9}, {"temperature"}),
        ("claude-opus-4-7", {"temperature": 0.2, "top_p": 0.9}, {}, {"temperature", "top_p"}),  # refuses both
        ("claude-sonnet-5", {"temperature": 0.2}, {}, {"temperature"}),
        ("some-proxy-name", {"temperature": 0.2}, {"temperature": 0.2}, set()),
    ],
)
def test_sampling_of_anthropic_depends_on_the_model(
    model: str, parameters: dict[str, Any], sent: dict[str, float], dropped: set[str]
) -> None:
    document = told(ANTHROPIC, model=model, **parameters)
    assert {name: document[name] for name in ("temperature", "top_p") if name in document} == sent
    assert document["dropped"] == dropped


CONVERSATION = (
    Message("system", "Be brief."),
    Message("user", "Weather and time?"),
    Message("assistant", "I look.", tool_calls=CALLS),
    Message("tool", '{"sky": "grey"}', tool_call_id="call_a"),
    Message("tool", "noon", tool_call_id="call_b"),
    Message("developer", "In German."),
    Message("user", "And?"),
)


def test_conversation_with_tools_is_told_to_openai() -> None:
    sent = told(OPENAI, *CONVERSATION, tools=(TOOL,), tool_choice="auto")
    assert [message["role"] for message in sent["messages"]] == [message.role for message in CONVERSATION]
    assert sent["messages"][2]["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]
    assert sent["messages"][3] == {"role": "tool", "content": '{"sky": "grey"}', "tool_call_id": "call_a"}
    assert sent["tools"] == [TOOL]


def test_conversation_with_tools_is_told_to_anthropic() -> None:
    sent = told(ANTHROPIC, *CONVERSATION, tools=(TOOL,), tool_choice="auto")
    assert sent["system"] == "Be brief.\n\nIn German."
    assert sent["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Weather and time?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Köln"}},
                {"type": "tool_use", "id": "call_b", "name": "time", "input": {}},
            ],
        },
        {
            "role": "user",  # both results and what was said next are one turn
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_a",
                    "content": [{"type": "text", "text": '{"sky": "grey"}'}],
                },
                {"type": "tool_result", "tool_use_id": "call_b", "content": [{"type": "text", "text": "noon"}]},
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert sent["tools"] == [{"name": "weather", "description": "Tells it", "input_schema": SCHEMA}]


def test_conversation_with_tools_is_told_to_gemini() -> None:
    sent = told(GEMINI, *CONVERSATION, tools=(TOOL,), tool_choice="auto")
    assert sent["systemInstruction"] == {"parts": [{"text": "Be brief.\n\nIn German."}]}
    assert sent["contents"] == [
        {"role": "user", "parts": [{"text": "Weather and time?"}]},
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {"functionCall": {"id": "call_a", "name": "weather", "args": {"city": "Köln"}}},
                {"functionCall": {"id": "call_b", "name": "time", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "call_a", "name": "weather", "response": {"sky": "grey"}}},
                {"functionResponse": {"id": "call_b", "name": "time", "response": {"result": "noon"}}},
                {"text": "And?"},
            ],
        },
    ]
    declared = {"name": "weather", "description": "Tells it", "parametersJsonSchema": SCHEMA}
    assert sent["tools"] == [{"functionDeclarations": [declared]}]


def test_gemini_3_is_told_that_an_earlier_tool_call_has_no_signature() -> None:
    parts = told(GEMINI, *CONVERSATION, model="gemini-3-pro-preview")["contents"][1]["parts"]
    assert ["thoughtSignature" in part for part in parts] == [False, True, False]  # the first of parallel calls


@pytest.mark.parametrize(
    ("choice", "openai", "anthropic", "gemini"),
    [
        ("auto", "auto", {"type": "auto"}, {"mode": "AUTO"}),
        ("none", "none", {"type": "none"}, {"mode": "NONE"}),
        ("required", "required", {"type": "any"}, {"mode": "ANY"}),
        (
            "weather",
            {"type": "function", "function": {"name": "weather"}},
            {"type": "tool", "name": "weather"},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
        (None, None, None, None),
    ],
)
def test_tool_choice_is_told_in_each_format(choice: str | None, openai: Any, anthropic: Any, gemini: Any) -> None:
    assert told(OPENAI, tools=(TOOL,), tool_choice=choice).get("tool_choice") == openai
    assert told(ANTHROPIC, tools=(TOOL,), tool_choice=choice).get("tool_choice") == anthropic
    assert told(GEMINI, tools=(TOOL,), tool_choice=choice).get("toolConfig", {}).get("functionCallingConfig") == gemini


@pytest.mark.parametrize("wire", WireFormat)
def test_tool_choice_without_tools_is_not_sent(wire: WireFormat) -> None:
    assert told(wire, tool_choice="auto") == told(wire)


@pytest.mark.parametrize("wire", [ANTHROPIC, GEMINI])
def test_tool_without_parameters_is_told(wire: WireFormat) -> None:
    assert "weather" in str(told(wire, tools=({"type": "function", "function": {"name": "weather"}},)))


def picture(url: str) -> Message:
    return Message("user", (Text("What?"), Image(url)))


@pytest.mark.parametrize(
    ("wire", "url", "expected"),
    [
        (OPENAI, PIXEL, {"type": "image_url", "image_url": {"url": PIXEL}}),
        (
            ANTHROPIC,
            PIXEL,
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ),
        (GEMINI, PIXEL, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        (ANTHROPIC, "https://h/x.png", {"type": "image", "source": {"type": "url", "url": "https://h/x.png"}}),
        (GEMINI, "https://h/x.png", {"fileData": {"fileUri": "https://h/x.png"}}),
    ],
)
def test_image_is_told_in_each_format(wire: WireFormat, url: str, expected: dict[str, Any]) -> None:
    sent = told(wire, picture(url))
    turn = sent["contents"][0]["parts"] if wire is GEMINI else sent["messages"][0]["content"]
    assert turn[1] == expected


@pytest.mark.parametrize("wire", [ANTHROPIC, GEMINI])
@pytest.mark.parametrize(
    "messages",
    [
        (Message("user", (File(id="file-1"),)),),
        (picture("data:image/png,not-base64"),),
        (Message("system", picture(PIXEL).content),),
        (USER, Message("tool", "noon", tool_call_id="nobody's")),
        (Message("assistant", " "),),
    ],
)
def test_what_a_format_cannot_say_is_refused_and_never_left_out(
    wire: WireFormat, messages: tuple[Message, ...]
) -> None:
    with pytest.raises(BadRequest):
        told(wire, *messages)


def test_claude_takes_no_audio() -> None:
    with pytest.raises(Unsupported):
        told(ANTHROPIC, Message("user", (Audio("AAAA", "wav"),)))


@pytest.mark.parametrize("wire", WireFormat)
def test_tool_that_is_no_function_is_refused(wire: WireFormat) -> None:
    with pytest.raises(BadRequest):
        told(wire, tools=({"type": "web_search"},))


def test_empty_text_is_left_out_where_it_would_be_refused() -> None:
    message = Message("assistant", "", tool_calls=CALLS[:1])
    assert [block["type"] for block in told(ANTHROPIC, USER, message)["messages"][1]["content"]] == ["tool_use"]


@pytest.mark.parametrize("wire", WireFormat)
def test_half_a_surrogate_pair_in_the_prompt_is_sent_as_what_vendors_read(wire: WireFormat) -> None:
    assert repr("\ufffd") in str(told(wire, Message("user", "\ud83d")))


def test_stream_is_asked_for_with_its_usage() -> None:
    assert told(OPENAI, stream=True)["stream_options"] == {"include_usage": True}
    assert told(OPENAI, stream=True)["stream"] is True
    assert told(ANTHROPIC, stream=True)["stream"] is True


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("../../v1/x?key=1#", "..%2F..%2Fv1%2Fx%3Fkey%3D1%23"),  # a model's name cannot lead elsewhere
    ],
)
def test_model_of_gemini_stands_in_the_path(model: str, path: str) -> None:
    outgoing = FORMATS[GEMINI].build(endpoint("http://h"), model, ChatRequest((USER,)), True)
    assert outgoing.url == f"http://h/v1beta/models/{path}:streamGenerateContent?alt=sse"
