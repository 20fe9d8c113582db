"""What a client's cases.py has of this project: it runs in the client's environment, where nothing else of it is.

A case is a function with the feature it shows, and may be run once for each of several models. Prints a line of JSON
with what will be run, and one for each case that has ended. A case may make a lab's model slow while it runs.
"""

from __future__ import annotations

import http.client
import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

#: the gateway, without /v1 and with it
ROOT = os.environ["CLIENTS_URL"]
URL = f"{ROOT}/v1"
KEY = os.environ["CLIENTS_KEY"]
LAB = os.environ["CLIENTS_LAB"]
#: one provider of each wire format, and DeepSeek, whose API is OpenAI's but for what it refuses
PROVIDERS = ("openai", "deepseek", "anthropic", "gemini")
MODELS = ("auto", "auto:code", *PROVIDERS, "deepseek/deepseek-chat", "gpt-4.1-mini")
QUESTION = "What is a mutex?"
#: how the lab's answer to it begins
ANSWER = "Simulated answer"
#: characters of an error that are told
_TOLD = 600

Case = Callable[[], None]
_cases: list[tuple[str, str, Case]] = []


def case(feature: str, *models: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def add(function: Callable[..., None]) -> Callable[..., None]:
        _cases.extend((feature, f"{function.__name__} {model}", _of(function, model)) for model in models)
        if not models:
            _cases.append((feature, function.__name__, function))
        return function

    return add


def run() -> None:
    _tell({"plan": [[feature, name] for feature, name, _ in _cases]})
    for feature, name, function in _cases:
        _tell({"feature": feature, "case": name, "error": _error(function)})


@contextmanager
def slowly(provider: str) -> Iterator[None]:
    """The lab's provider takes a minute for an answer, so that a caller has time to lose patience."""
    _change(provider, {"tokens_per_s": 1})
    try:
        yield
    finally:
        _change(provider, {"tokens_per_s": 5000})


def check(condition: object, seen: object) -> None:
    if not condition:
        raise AssertionError(f"got {seen!r}")


def raises(kind: type[BaseException], function: Callable[[], object]) -> None:
    try:
        seen = function()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} expected, got {seen!r}")


def _of(function: Callable[..., None], model: str) -> Case:
    return lambda: function(model)


def _error(function: Case) -> str | None:
    try:
        function()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a client raises is what is to be told
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"[:_TOLD]
    return None


def _tell(fact: dict[str, object]) -> None:
    print(json.dumps(fact), flush=True)


def _change(provider: str, figures: dict[str, object]) -> None:
    """Straight to the lab, past whatever the client does with connections and proxies."""
    connection = http.client.HTTPConnection(urlsplit(LAB).netloc, timeout=10)
    headers = {"Content-Type": "application/json"}
    connection.request("PATCH", f"/lab/profiles/{provider}", json.dumps(figures), headers)
    check((answer := connection.getresponse()).status == 200, answer)
    connection.close()
