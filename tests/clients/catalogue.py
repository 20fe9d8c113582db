"""Which clients there are, and what is expected of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
#: columns of the table, in its order; what cases may name
FEATURES = (
    "chat", "stream", "tools", "structured", "models", "cancel",
    "responses", "messages", "embeddings", "completions", "default",
)  # fmt: skip
#: endpoints that clients call and the gateway does not have: a case that fails for want of them is no surprise
NOT_SERVED: frozenset[str] = frozenset()

#: (client, beginning of a case's name, why): cases that are known to fail
KNOWN = (
    ("instructor_python", "mode_responses_tools deepseek", "a schema and a forced tool at once"),
    ("instructor_python", "mode_responses_tools gemini", "a schema and a forced tool at once"),
)


@dataclass(frozen=True)
class Client:
    #: of its folder here, and of the one under build/clients
    folder: str
    name: str
    #: what it calls where nobody says otherwise
    protocol: str
    #: seconds until its process is killed, on a machine that has much else to do
    limit_s: int = 150

    @property
    def path(self) -> Path:
        return HERE / self.folder

    @property
    def in_node(self) -> bool:
        return (self.path / "package.json").exists()

    @property
    def versions(self) -> dict[str, str]:
        """Package → version, of what a person would name; the rest is in the lock."""
        if self.in_node:
            manifest = json.loads((self.path / "package.json").read_text(encoding="utf-8"))
            return dict(manifest["dependencies"])
        lines = (self.path / "requirements.in").read_text(encoding="utf-8").split()
        return {name: version for name, _, version in (line.partition("==") for line in lines)}


CLIENTS = (
    Client("openai_python", "openai (Python)", "chat completions"),
    Client("openai_node", "openai (Node)", "chat completions"),
    Client("anthropic_python", "anthropic (Python)", "messages"),
    Client("anthropic_node", "@anthropic-ai/sdk", "messages"),
    Client("openai_agents", "openai-agents", "responses"),
    Client("ai_sdk", "AI SDK", "responses"),
    Client("langchain", "LangChain", "chat completions"),
    Client("llama_index", "LlamaIndex openai-like", "completions"),
    Client("pydantic_ai", "pydantic-ai", "responses"),
    Client("litellm_sdk", "litellm (SDK)", "chat completions"),
    Client("llm_cli", "llm", "chat completions", limit_s=300),
    Client("instructor_python", "instructor", "chat completions"),
    Client("codex", "Codex CLI", "responses", limit_s=240),
    Client("opencode", "OpenCode", "chat completions", limit_s=240),
    Client("claude_code", "Claude Code", "messages", limit_s=240),
)
