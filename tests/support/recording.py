"""The API over a socket, in front of one recording server per provider: what is sent, and what the client gets."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
from werkzeug.serving import make_server

from app import bootstrap
from app.api import create_app
from app.providers.client import Client, Pool
from tests.providers.server import Server, chunked, whole
from tests.support.front import _Handler
from tests.support.system import ROOT, build

#: provider → format, models
PROVIDERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "openai": ("openai", ("gpt-4.1-mini", "gpt-5.4", "gpt-5.6")),
    "deepseek": ("openai", ("deepseek-reasoner", "deepseek-chat")),
    "groq": ("openai", ("llama-3.3-70b",)),
    "compat": ("openai", ("kimi-k2-thinking", "gemini-3-pro-preview", "mistral-large-latest", "m")),
    "anthropic": ("anthropic", ("claude-haiku-4-5", "claude-opus-4-6", "claude-3-5-haiku-latest")),
    "gemini": ("gemini", ("gemini-2.5-flash", "gemini-3-pro-preview")),
}
YES: Mapping[str, Any] = {
    "openai": {"choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]},
    "anthropic": {"type": "message", "content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn"},
    "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": "yes"}]}, "finishReason": "STOP"}]},
}


@dataclass(frozen=True)
class Recording:
    url: str
    servers: Mapping[str, Server]

    def ask(self, model: str, messages: list[Any], **body: Any) -> requests.Response:
        for server in self.servers.values():
            server.received.clear()
        asked = {"model": model, "messages": messages, **body}
        return requests.post(f"{self.url}/v1/chat/completions", json=asked, timeout=30)

    def sent(self, model: str, messages: list[Any], **body: Any) -> Any:
        """What reached the provider, of a question it answered."""
        response = self.ask(model, messages, **body)
        assert response.status_code == 200, response.text
        (received,) = self.servers[model.split("/")[0]].received
        return received.json

    def answer(self, name: str, document: Any) -> None:
        """From now on this provider says that."""
        body = json.dumps(document).encode()
        self.servers[name].answer = lambda _: whole(200, {"content-type": "application/json"}, body)

    def stream(self, name: str, events: Iterable[bytes]) -> None:
        kept = list(events)
        self.servers[name].answer = lambda _: chunked(kept)

    def reset(self) -> None:
        for name, (wire, _) in PROVIDERS.items():
            self.answer(name, YES[wire])


@contextmanager
def recording(folder: Path) -> Iterator[Recording]:
    """Without Postgres and Redis it answers all the same."""
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("runtime.json"))
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(lambda _: [b""])) for name in PROVIDERS}
        blocks = (
            f'[{name}]\nformat = "{wire}"\nbase_url = "{servers[name].url}"\nmodels = {json.dumps(models)}\n'
            for name, (wire, models) in PROVIDERS.items()
        )
        (folder / "config" / "providers.toml").write_text("\n".join(blocks))
        system = build(
            f"postgresql+psycopg2://postgres@/nothing?host={folder}", f"unix://{folder}/nothing.sock", folder
        )
        stack.callback(system.close)
        services = replace(system.services, client=Client(Pool(16)))
        running = bootstrap.start(services, seed=1)
        stack.callback(running.stop)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = make_server("127.0.0.1", 0, create_app(running), threaded=True, request_handler=_Handler)
        server.daemon_threads = True
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, name="api", daemon=True).start()
        made = Recording(f"http://127.0.0.1:{server.port}", servers)
        made.reset()
        yield made
