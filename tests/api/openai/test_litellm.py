"""/v1 with `litellm` as the client, over a socket: many programs call an OpenAI-compatible gateway with it.

It runs in a process of its own, as a program would run it: its import takes seconds and warns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.api.openai.test_chat_completions import WEATHER
from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE

PROGRAM = """
import asyncio, json, sys
import litellm

url, weather = sys.argv[1], json.loads(sys.argv[2])
ask = {"api_base": url, "api_key": "not-needed", "messages": [{"role": "user", "content": "What is a mutex?"}],
       "max_retries": 0, "timeout": 30}
found = {}
for name in ("auto", "auto:code", "deepseek", "gemini", "anthropic", "openai"):
    answer = litellm.completion(model=f"openai/{name}", **ask)
    found[name] = [answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage.total_tokens]
chunks = list(litellm.completion(
    model="openai/anthropic", stream=True, stream_options={"include_usage": True}, **ask))
found["streamed"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
found["usage"] = [chunk.usage.total_tokens for chunk in chunks if getattr(chunk, "usage", None)]
answer = litellm.completion(model="openai/gemini", tools=[weather], tool_choice="required", **ask)
call = answer.choices[0].message.tool_calls[0]
found["tool"] = [answer.choices[0].finish_reason, call.function.name, sorted(json.loads(call.function.arguments))]
answer = asyncio.run(litellm.acompletion(model="openai/auto", temperature=0.1, stop=["."], seed=3, user="anna", **ask))
found["async"] = answer.choices[0].finish_reason
try:
    litellm.completion(model="openai/nobody", **ask)
except litellm.NotFoundError as error:
    found["unknown"] = error.status_code
try:
    litellm.completion(model="openai/auto", temperature=9, **ask)
except litellm.BadRequestError as error:
    found["refused"] = error.status_code
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(api: Served) -> Any:
    for name in PROVIDERS:
        api.lab.set(name, latency=0, error_rate=0, tokens_per_s=400)
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"{api.url}/v1", json.dumps(WEATHER)],
        env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("model", ["auto", "auto:code", *PROVIDERS])
def test_an_answer_is_read_as_openais(found: Any, model: str) -> None:
    text, finish, tokens = found[model]

    assert (text, finish) == (SENTENCE, "stop")
    assert tokens > 0


def test_a_stream_is_read_to_its_usage(found: Any) -> None:
    assert found["streamed"] == SENTENCE
    assert found["usage"][-1] > 0


def test_tools_parameters_and_errors_come_through(found: Any) -> None:
    assert found["tool"] == ["tool_calls", "get_weather", ["city"]]
    assert found["async"] == "stop"
    assert (found["unknown"], found["refused"]) == (404, 400)
