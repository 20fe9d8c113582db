"""What it is worth that a conversation stays where its prompt cache is: ten turns of an agent, with and without.

    python -m tests.bench affinity [--conversations 12]

The whole stack as `make up` starts it, the lab's providers with their prompt caches (money and time are simulated).
Three of the four are as good as each other, so that without affinity they share the traffic.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import requests

from tests.bench.rounds import a_round, settle
from tests.support.stack import Stack, stack

TURNS = 10
CALLERS = 3
#: about 8,000 tokens of instructions and 1,500 of what the tool finds at each turn
INSTRUCTIONS = "You are an agent that repairs programs, with care. " * 650
FOUND = "def step(n):\n    return n + 1  # nothing wrong here\n" * 120
TOOL = {
    "type": "function",
    "function": {
        "name": "read_file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}
ALIKE = ("deepseek", "gemini", "openai")


@dataclass(frozen=True)
class Turn:
    target: str
    ms: float
    usd: float
    prompt: int
    cached: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=12)
    count = parser.parse_args().conversations
    print(f"{count} conversations of {TURNS} turns; simulated providers")
    print(
        "| affinity | USD per conversation | s of waiting per conversation | moves per conversation | prompt cached |"
    )
    print("|---|---|---|---|---|")
    for enabled in ("true", "false"):
        conversations = _measured(enabled, count)
        turns = [turn for each in conversations for turn in each]
        moves = sum(one.target != next_.target for each in conversations for one, next_ in pairwise(each))
        print(
            f"| {'on' if enabled == 'true' else 'off'} | {sum(t.usd for t in turns) / count:.4f} "
            f"| {sum(t.ms for t in turns) / count / 1000:.2f} | {moves / count:.1f} "
            f"| {sum(t.cached for t in turns) / sum(t.prompt for t in turns):.0%} |"
        )


def _measured(enabled: str, count: int) -> list[list[Turn]]:
    with (
        tempfile.TemporaryDirectory(prefix="tooloo-bench-") as name,
        stack(Path(name), policy={"interval_s": 86_400, "enabled": enabled}) as running,
    ):
        settle(running)
        for provider in ALIKE:
            alike = ("latency=300", "sigma=0.1", "error_rate=0", "quality=0.9", "input_price=0.4", "output_price=1.6")
            running.tooloo("lab", "set", provider, *alike, "tool_rate=1")
        a_round(running)
        with ThreadPoolExecutor(CALLERS) as callers:
            return list(callers.map(partial(_conversation, running), range(count)))


def _conversation(running: Stack, number: int) -> list[Turn]:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": f"Conversation {number}. {INSTRUCTIONS}"},
        {"role": "user", "content": "Find what is wrong with step()."},
    ]
    turns = []
    with requests.Session() as session:
        for turn in range(TURNS):
            body = {"model": "auto", "messages": messages, "tools": [TOOL]}
            began = time.perf_counter()
            answer = session.post(f"{running.url}/v1/chat/completions", json=body, timeout=60)
            ms = (time.perf_counter() - began) * 1000
            answer.raise_for_status()
            document = answer.json()
            turns.append(_turn(document, ms))
            messages.append(document["choices"][0]["message"])
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": f"{turn}\n{FOUND}"}
                for call in messages[-1].get("tool_calls") or ()
            ] or [{"role": "user", "content": f"{turn}\n{FOUND}\nGo on."}]
    return turns


def _turn(document: dict[str, Any], ms: float) -> Turn:
    used, facts = document["usage"], document["tooloo"]
    cached = used["prompt_tokens_details"]["cached_tokens"]
    return Turn(facts["target"], ms, facts["cost_usd"], used["prompt_tokens"], cached)


if __name__ == "__main__":
    main()
