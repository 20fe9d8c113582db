"""Requests as the four standard providers get them."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.support.lab import RunningLab

QUESTION = "Why is the sky blue?"


@dataclass(frozen=True)
class Api:
    """How to call one provider."""

    name: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    #: what makes it stream, in path and body
    stream_path: str
    stream_body: Mapping[str, Any] = field(default_factory=dict)

    def call(
        self, lab: RunningLab, *, stream: bool = False, headers: Mapping[str, str] | None = None, **more: Any
    ) -> requests.Response:
        """Keys of `more` with the value None are left out of the body."""
        body = {**self.body, **(self.stream_body if stream else {}), **more}
        return requests.post(
            f"{lab.url}/{self.name}/{self.stream_path if stream else self.path}",
            data=json.dumps({key: value for key, value in body.items() if value is not None}),
            headers={"Content-Type": "application/json", **(self.headers if headers is None else headers)},
            timeout=10,
        )


def _openai(name: str, model: str) -> Api:
    return Api(
        name=name,
        path="chat/completions",
        headers={"Authorization": "Bearer sk-test"},
        body={"model": model, "messages": [{"role": "user", "content": QUESTION}]},
        stream_path="chat/completions",
        stream_body={"stream": True},
    )


OPENAI = _openai("openai", "gpt-4.1-mini")
DEEPSEEK = _openai("deepseek", "deepseek-chat")
ANTHROPIC = Api(
    name="anthropic",
    path="v1/messages",
    headers={"x-api-key": "sk-ant-test", "anthropic-version": "2023-06-01"},
    body={"model": "claude-haiku-4-5", "max_tokens": 500, "messages": [{"role": "user", "content": QUESTION}]},
    stream_path="v1/messages",
    stream_body={"stream": True},
)
GEMINI = Api(
    name="gemini",
    path="v1beta/models/gemini-2.5-flash:generateContent",
    headers={"x-goog-api-key": "AIza-test"},
    body={"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]},
    stream_path="v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
)
ALL = (OPENAI, DEEPSEEK, ANTHROPIC, GEMINI)


def events(response: requests.Response) -> list[Any]:
    """The JSON documents of a stream of server-sent events, `[DONE]` as that text."""
    text = response.content.decode("utf-8").replace("\r\n", "\n")
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def raw_request(lab: RunningLab, body: bytes, length: int | None = None) -> socket.socket:
    """An open connection on which a call of openai has been sent."""
    address = urlsplit(lab.url)
    connection = socket.create_connection((address.hostname, address.port or 80), timeout=5)
    head = f"POST /openai/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer x\r\n"
    connection.sendall(f"{head}Content-Length: {length or len(body)}\r\n\r\n".encode() + body)
    return connection
