"""Many callers at once, while providers fail and the config changes: nobody notices."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.support.front import PROVIDERS, Served, served
from tests.support.lab import SENTENCE

STREAMS = 200


@dataclass(frozen=True)
class Got:
    status: int
    attempts: int
    target: str
    text: str
    ended: str


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("load")) as running:
        yield running


@pytest.fixture(autouse=True)
def healthy(api: Served) -> None:
    for name in PROVIDERS:
        api.lab.set(name, latency=20, error_rate=0, tokens_per_s=200)
    api.reset()


def ask(api: Served, *, stream: bool) -> Got:
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=60)
    body = {"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "What is a mutex?"}]}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        data = response.read().decode()
    finally:
        connection.close()
    attempts, target = int(response.headers["x-tooloo-attempts"]), response.headers.get("x-tooloo-target", "")
    if not stream:
        text = json.loads(data)["choices"][0]["message"]["content"] if response.status == 200 else ""
        return Got(response.status, attempts, target, text, "")
    events = [event.removeprefix("data: ") for event in data.strip().split("\n\n")]
    chunks = [json.loads(event) for event in events[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if "choices" in chunk)
    return Got(response.status, attempts, target, text, events[-1])


def test_200_streams_at_once_while_providers_fail_and_the_config_changes(api: Served) -> None:
    over = threading.Event()

    def trouble() -> int:
        """One provider after the other refuses everything; each time the weights change too."""
        for number in itertools.count():
            failing = PROVIDERS[number % len(PROVIDERS)]
            api.lab.set(failing, error_rate=1, error_kind=("overloaded", "server_error", "rate_limited")[number % 3])
            api.configure(explorationRate=0.5, weights={"latency": (number % 5) / 10})
            if over.wait(0.1):
                return number
            api.lab.set(failing, error_rate=0)
        raise AssertionError

    with ThreadPoolExecutor(STREAMS + 1) as pool:
        troubled = pool.submit(trouble)
        got = list(pool.map(lambda _: ask(api, stream=True), range(STREAMS)))
        over.set()
        changes = troubled.result()

    assert changes > 0
    assert {each.status for each in got} == {200}
    assert {each.text for each in got} == {SENTENCE}
    assert {each.ended for each in got} == {"[DONE]"}
    assert len({each.target for each in got}) > 1
    assert max(each.attempts for each in got) > 1


def test_the_best_provider_dies_under_load_and_no_request_fails(api: Served) -> None:
    api.configure(explorationRate=0)
    dead = threading.Event()
    answered = itertools.count(1)

    def caller(number: int) -> list[Got]:
        got = []
        for _ in range(8):
            got.append(ask(api, stream=False))
            if next(answered) == 40:
                # in the middle of an answer, as a process dies
                api.lab.set("deepseek", error_rate=1, error_kind="cut")
                dead.set()
        return got

    with ThreadPoolExecutor(16) as pool:
        got = [each for mine in pool.map(caller, range(16)) for each in mine]

    assert dead.is_set()
    assert {each.status for each in got} == {200}
    assert {each.text for each in got} == {SENTENCE}
    assert got[0].target.startswith("deepseek/")
    assert {each.target.partition("/")[0] for each in got if each.attempts > 1} == {"gemini"}
    # its breaker opens: most of what comes later does not even try it
    assert sum(each.attempts > 1 for each in got) < len(got) / 2
