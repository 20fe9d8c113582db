"""What becomes of each field of POST /v1/responses, found out by asking: python -m tests.support.responses_table

The fields are those of the official SDK's own type of request, so that a new one has to be said something of.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from tests.support.recording import Recording, recording

PAGE = Path(__file__).parents[2] / "docs" / "gateway.md"
BEGIN, END = "<!-- responses: .venv/bin/python -m tests.support.responses_table -->\n", "<!-- /responses -->"
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}

#: field of a request → values that ask for something
ASKED: Mapping[str, tuple[Any, ...]] = {
    "access_programs": ({"cyber": "standard"},),
    "background": (True,),
    "background_options": ({"completion_window": "soonest"},),
    "context_management": ([{"type": "compaction"}],),
    "conversation": ("conv_1",),
    "image": ({"context_compression": "enabled"},),
    "include": (["reasoning.encrypted_content"], ["message.output_text.logprobs"], ["web_search_call.results"]),
    "input": ("Tell me.", [{"role": "user", "content": [{"type": "input_text", "text": "Tell me."}]}]),
    "instructions": ("Be brief.",),
    "max_output_tokens": (100,),
    "max_tool_calls": (3,),
    "metadata": ({"a": "b"},),
    "model": ("openai",),
    "moderation": ({"model": "omni-moderation-latest"},),
    "parallel_tool_calls": (False,),
    "previous_response_id": ("resp_1",),
    "prompt": ({"id": "p"},),
    "prompt_cache_key": ("k",),
    "prompt_cache_options": ({"mode": "implicit"},),
    "prompt_cache_retention": ("24h",),
    "reasoning": ({"effort": "low"}, {"summary": "auto"}, {"summary": "detailed"}, {"context": "all_turns"}),
    "safety_identifier": ("s",),
    "service_tier": ("auto", "flex"),
    "store": (False, True),
    "stream_options": ({"include_obfuscation": False},),
    "temperature": (0.5,),
    "text": (
        {"format": {"type": "json_object"}},
        {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        {"verbosity": "low"},
    ),
    "tool_choice": ("required", "none", {"type": "function", "name": "look"}),
    "tools": (
        [TOOL],
        [{"type": "custom", "name": "look"}],
        [{"type": "namespace", "name": "n", "description": "", "tools": [TOOL]}],
        [{"type": "tool_search", "execution": "client", "description": "", "parameters": SCHEMA}],
        [{"type": "web_search"}],
        *([{"type": kind}] for kind in ("file_search", "code_interpreter", "computer_use_preview", "image_generation")),
        *([{"type": kind}] for kind in ("mcp", "local_shell", "shell", "apply_patch")),
    ),
    "top_logprobs": (2,),
    "top_p": (0.5,),
    "truncation": ("disabled", "auto"),
    "user": ("u",),
}
#: more are not explored in a row
TRIES = 40
USUAL = "openai/gpt-4.1-mini"
#: what one question cannot show
KNOWN = {
    "model": "[who answers](#which-model-answers)",
    "previous_response_id": "goes on from a response that was kept",
    "store": "is the response kept?",
    'include ["reasoning.encrypted_content"]': "thoughts and signatures are in the answer's reasoning items",
    'reasoning {"effort": "low"}': "sent to models that have it, left out and named else",
    'reasoning {"summary": "auto"}': "what the provider tells of its thoughts is in the answer in any case",
}


def fields() -> list[str]:
    return sorted(ResponseCreateParamsBase.__annotations__)


def rows(front: Recording) -> Iterator[str]:
    for field in fields():
        for value in ASKED[field]:
            shown = json.dumps(value, ensure_ascii=False)
            told = KNOWN.get(field) or KNOWN.get(f"{field} {shown}") or _observed(front, field, value)
            yield f"| `{field}` | `{shown if len(shown) <= 60 else shown[:58] + ' …'}` | {told} |"


def table(front: Recording) -> str:
    head = ["| field | value | what becomes of it |", "|---|---|---|"]
    return "\n".join([*head, *rows(front)]) + "\n"


def _observed(front: Recording, field: str, value: Any) -> str:
    bare: dict[str, Any] = {"tools": [TOOL]} if field in ("tool_choice", "parallel_tool_calls") else {}
    _, without, _ = _asked(front, bare)
    status, sent, body = _asked(front, bare | {field: value})
    if status != 200:
        return f"refused: 400 that names `{body['error']['param']}`"
    named = [name for name in body["tooloo"]["dropped_parameters"] if name != "tools.namespace.description"]
    if named:
        passed = _asked(front, bare | {field: value}, model="openai")[2]["tooloo"]["dropped_parameters"]
        how = "" if passed else "; sent to a provider of OpenAI's format that the request names"
        return f"left out, and named `{'`, `'.join(named)}`{how}"
    if sent != without:
        return "sent to the provider"
    return "repeated in the answer" if body.get(field) == value else "ignored: it changes nothing of the answer"


def _asked(front: Recording, more: Mapping[str, Any], model: str = "auto:code") -> tuple[int, Any, Any]:
    """Status, what the provider was sent, and the answer; asked again where another one was explored."""
    server = front.servers["openai"]
    for _ in range(TRIES):
        server.received.clear()
        body = {"model": model, "input": "Tell it in JSON.", "store": False, **more}
        response = requests.post(f"{front.url}/v1/responses", json=body, timeout=30)
        if response.status_code != 200 or response.json()["model"] == USUAL:
            break
    return response.status_code, server.received[0].json if server.received else None, response.json()


def written(page: str, front: Recording) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table(front) + END + rest.partition(END)[2]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, recording(Path(folder)) as running:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), running), encoding="utf-8")
