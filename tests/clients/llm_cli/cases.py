"""simonw's llm, on the command line, with models of its extra-openai-models.yaml."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from harness import ANSWER, KEY, PROVIDERS, QUESTION, URL, case, check, run

#: features of its own that it must be told a model has
_CAN = "supports_tools: true, supports_schema: true, vision: true"
FOLDER = Path.cwd() / "llm"
FOLDER.mkdir()
#: each call is a start of Python, which takes seconds: one provider of each wire format
_NAMES = ("auto", *(name for name in PROVIDERS if name != "deepseek"))
(FOLDER / "extra-openai-models.yaml").write_text(
    "".join(
        f"- {{model_id: {name}, model_name: {name}, api_base: '{URL}', api_key_name: ours, {_CAN}}}\n"
        for name in _NAMES
    )
    + f"- {{model_id: old, model_name: auto, api_base: '{URL}', api_key_name: ours, completion: true}}\n"
)
(FOLDER / "keys.json").write_text(json.dumps({"ours": KEY}))
TOOL = "def get_weather(city: str) -> str:\n    'Weather now'\n    return '18 °C'\n"


def _llm(*arguments: str) -> str:
    done = subprocess.run(
        ["llm", *arguments], env={**os.environ, "LLM_USER_PATH": str(FOLDER)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return done.stdout


@case("chat", "auto")
def no_stream(model: str) -> None:
    check((seen := _llm("-m", model, "--no-stream", QUESTION)).startswith(ANSWER), seen)


@case("stream", "auto", "anthropic")
def streamed(model: str) -> None:
    check((seen := _llm("-m", model, QUESTION)).startswith(ANSWER), seen)


@case("tools", *_NAMES)
def functions(model: str) -> None:
    check(ANSWER in (seen := _llm("-m", model, "--functions", TOOL, QUESTION)), seen)


@case("structured", "auto", "gemini")
def schema(model: str) -> None:
    check("name" in json.loads(seen := _llm("-m", model, "--schema", "name, people int", QUESTION)), seen)


@case("completions")
def completion_model() -> None:
    check(seen := _llm("-m", "old", QUESTION), seen)


@case("default")
def prompt() -> None:
    streamed("auto")


run()
