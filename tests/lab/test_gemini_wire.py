"""Gemini generateContent as the lab speaks it, over a real socket."""

from __future__ import annotations

import json

import requests

from tests.lab.calls import GEMINI, QUESTION, events
from tests.support.lab import SENTENCE, RunningLab

TOOLS = [
    {
        "functionDeclarations": [
            {"name": "time"},
            {"name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}},
        ]
    }
]
MUST_CALL = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}


def test_a_plain_answer_holds_text_finish_and_usage(lab: RunningLab) -> None:
    body = GEMINI.call(lab, systemInstruction={"parts": [{"text": "Be brief."}]}).json()
    (candidate,) = body["candidates"]
    assert candidate["content"] == {"parts": [{"text": SENTENCE}], "role": "model"}
    assert candidate["finishReason"] == "STOP"
    usage = body["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert body["modelVersion"] == "gemini-2.5-flash"


def test_a_stream_of_events_counts_tokens_as_it_goes(lab: RunningLab) -> None:
    lab.set("gemini", tokens_per_s=200)
    pieces = events(GEMINI.call(lab, stream=True))
    texts = [piece["candidates"][0]["content"]["parts"][0]["text"] for piece in pieces]
    counts = [piece["usageMetadata"]["candidatesTokenCount"] for piece in pieces]
    assert "".join(texts) == SENTENCE
    assert len(texts) > 5
    assert counts == sorted(counts)
    assert ["finishReason" in piece["candidates"][0] for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_without_alt_sse_a_stream_is_one_json_array(lab: RunningLab) -> None:
    url = f"{lab.url}/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    answer = requests.post(url, json=dict(GEMINI.body), headers=dict(GEMINI.headers), timeout=5)
    texts = [piece["candidates"][0]["content"]["parts"][0]["text"] for piece in answer.json()]
    assert answer.headers["Content-Type"] == "application/json"
    assert "".join(texts) == SENTENCE


def test_max_output_tokens_cuts_the_answer(lab: RunningLab) -> None:
    body = GEMINI.call(lab, generationConfig={"maxOutputTokens": 3}).json()
    assert body["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert body["usageMetadata"]["candidatesTokenCount"] == 3


def test_keys_may_be_written_in_snake_case(lab: RunningLab) -> None:
    body = GEMINI.call(lab, generation_config={"max_output_tokens": 3, "stop_sequences": ["zzz"]}).json()
    assert body["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_a_required_function_is_called(lab: RunningLab) -> None:
    body = GEMINI.call(lab, tools=TOOLS, toolConfig=MUST_CALL).json()
    (part,) = body["candidates"][0]["content"]["parts"]
    assert part["functionCall"] == {"name": "weather", "args": {"city": "example"}}


def test_a_streamed_function_call_comes_whole(lab: RunningLab) -> None:
    first, *_ = events(GEMINI.call(lab, stream=True, tools=TOOLS, toolConfig=MUST_CALL))
    assert first["candidates"][0]["content"]["parts"][0]["functionCall"]["name"] == "weather"


def test_json_mode_gives_json_of_the_schema(lab: RunningLab) -> None:
    schema = {"type": "OBJECT", "properties": {"size": {"type": "STRING", "enum": ["small", "large"]}}}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    body = GEMINI.call(lab, generationConfig=config).json()
    assert json.loads(body["candidates"][0]["content"]["parts"][0]["text"]) == {"size": "small"}


def test_the_key_may_stand_in_the_query(lab: RunningLab) -> None:
    url = f"{lab.url}/gemini/{GEMINI.path}?key=AIza-test"
    assert requests.post(url, json=dict(GEMINI.body), timeout=5).status_code == 200


def test_the_last_user_turn_is_the_prompt(lab: RunningLab) -> None:
    turns = [("user", "first"), ("model", "so?"), ("user", QUESTION)]
    GEMINI.call(lab, contents=[{"role": role, "parts": [{"text": text}]} for role, text in turns])
    assert lab.last()["prompt"] == QUESTION


def test_models_are_listed(lab: RunningLab) -> None:
    listed = requests.get(f"{lab.url}/gemini/v1beta/models", headers=dict(GEMINI.headers), timeout=5).json()
    assert [model["name"] for model in listed["models"]] == ["models/gemini-2.5-flash", "models/gemini-embedding-001"]
