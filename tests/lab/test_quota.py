"""A simulated provider with a quota: what it refuses, and what its headers tell."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
import requests

from app.providers.rate_limits import readings
from app.providers.wire.delays import delay_in
from tests.lab.calls import ANTHROPIC, DEEPSEEK, GEMINI, OPENAI, Api
from tests.support.lab import RunningLab


def left(answer: requests.Response) -> dict[str, tuple[float, float | None]]:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {each.kind: (each.remaining, each.limit) for each in readings(headers, datetime.now(UTC))}


@pytest.mark.parametrize("api", [OPENAI, DEEPSEEK, ANTHROPIC, GEMINI], ids=lambda api: api.name)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_it_takes_what_its_quota_allows_and_says_when_to_come_back(lab: RunningLab, api: Api, stream: bool) -> None:
    lab.set(api.name, rpm=2)
    answers = [api.call(lab, stream=stream) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    refused = answers[2]
    if api is GEMINI:
        delay_s = delay_in(refused.json()["error"]["details"], "")
        assert delay_s is not None
        assert 20 < delay_s <= 30
    else:
        assert 20 < int(refused.headers["retry-after"]) <= 30
    lab.set(api.name, rpm=0)
    assert api.call(lab).status_code == 200


@pytest.mark.parametrize("api", [OPENAI, ANTHROPIC], ids=lambda api: api.name)
def test_its_headers_are_those_of_the_real_one(lab: RunningLab, api: Api) -> None:
    lab.set(api.name, rpm=60, tpm=10_000)
    first, second = left(api.call(lab)), left(api.call(lab, stream=True))
    assert (first["requests"], second["requests"]) == ((59, 60), (58, 60))
    assert 9_000 < second["tokens"][0] < first["tokens"][0] < 10_000
    lab.set(api.name, rpm=0, tpm=0)
    assert left(api.call(lab)) == {}


@pytest.mark.parametrize("api", [DEEPSEEK, GEMINI], ids=lambda api: api.name)
def test_who_says_nothing_of_it_says_nothing(lab: RunningLab, api: Api) -> None:
    lab.set(api.name, rpm=60)
    assert left(api.call(lab)) == {}


def test_tokens_are_used_up_too(lab: RunningLab) -> None:
    lab.set("openai", tpm=random.Random(1).randint(40, 60))
    answers = [OPENAI.call(lab) for _ in range(6)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
