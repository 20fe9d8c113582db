"""MAIN PATH 2, streamed: what happens before the first token, after it, and when the client goes away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app import bootstrap
from app.bootstrap import Running
from app.domain.catalog import Target
from app.domain.policy import Policy
from app.domain.routing.breaker import Breaker
from app.errors import AllAttemptsFailed, BadRequest, Overloaded, RateLimited, StreamCut, UnknownModel
from app.gateway.gateway import Call, ReplyStream
from app.live.live_config import utc_now
from app.providers.base import Answer, ChatRequest, Delta, Endpoint
from tests.gateway.test_gateway import ALL, QUESTION, change, fails_with, ingested
from tests.support.system import FakeClient, System, answer
from tests.support.waiting import wait_until


@dataclass
class Pieces:
    """An upstream stream of three pieces, which may break after some of them."""

    answer: Answer
    breaks_after: int = 99
    dropped: tuple[str, ...] = ()
    closed: bool = False

    def __iter__(self) -> Iterator[Delta]:
        for number, text in enumerate(("for", "ty-", "two")):
            if number == self.breaks_after:
                raise StreamCut
            yield Delta(text=text)

    def close(self) -> None:
        self.closed = True


@dataclass
class Streaming(FakeClient):
    opened: list[Pieces] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    breaks_after: int = 99

    def stream(self, endpoint: Endpoint, model: str, request: ChatRequest, **limits: Any) -> Any:
        self.limits.append(limits)
        pieces = Pieces(self.complete(endpoint, model, request), self.breaks_after)
        self.opened.append(pieces)
        return pieces


@pytest.fixture
def client() -> Streaming:
    return Streaming()


@pytest.fixture
def running(system: System, client: Streaming) -> Iterator[Running]:
    services = replace(system.services, client=client)  # type: ignore[arg-type]  # the seam
    started = bootstrap.start(services, seed=1)
    change(system, explorationRate=0)
    yield started
    started.stop()


def texts(stream: ReplyStream) -> list[str]:
    return [delta.text for delta in stream]


def test_the_reply_of_a_stream_is_that_of_a_plain_answer(running: Running) -> None:
    stream = running.gateway.stream(Call(QUESTION))

    assert stream.reply is None
    assert texts(stream) == ["for", "ty-", "two"]
    assert stream.reply is not None
    assert (stream.reply.answer, stream.reply.target.provider) == (answer(), "deepseek")
    assert stream.reply.cost_usd == 0.001


def test_before_the_first_token_a_failure_falls_over_unseen(running: Running, client: Streaming) -> None:
    client.behaviours["deepseek"] = fails_with(Overloaded)

    stream = running.gateway.stream(Call(QUESTION))

    assert (stream.target.provider, [a.target.provider for a in stream.attempts]) == ("gemini", ["deepseek"])
    assert texts(stream) == ["for", "ty-", "two"]


def test_a_stream_that_breaks_before_its_first_token_falls_over_too(running: Running, client: Streaming) -> None:
    client.breaks_after = 0

    with pytest.raises(AllAttemptsFailed) as failure:
        running.gateway.stream(Call(QUESTION))

    assert [type(cause) for cause in failure.value.causes] == [StreamCut] * 4


def test_after_the_first_token_the_failure_is_the_readers_and_counts(
    system: System, running: Running, client: Streaming
) -> None:
    client.breaks_after = 2
    client.behaviours |= dict.fromkeys(ALL[1:], fails_with(Overloaded))
    stream = running.gateway.stream(Call(QUESTION))

    assert [next(stream).text, next(stream).text] == ["for", "ty-"]
    with pytest.raises(StreamCut):
        next(stream)
    stream.close()

    row, again, *others = ingested(system, 4)
    assert (row.success, row.error_class, row.counts) == (False, "stream_cut", True)
    assert [other.error_class for other in others] == ["overloaded"] * 2  # three calls at the most
    assert (again.provider, again.error_class) == (row.provider, "stream_cut")  # the same target, once more
    assert (row.completion_tokens, row.tokens_estimated) == (2, True)  # seven characters came, and are paid for
    assert running.gateway.breakers.value[system.services.targets[0]].failures == 2


@pytest.mark.parametrize("read", [0, 1, 2])
def test_a_reader_that_goes_away_stops_the_call_and_blames_nobody(
    system: System, running: Running, client: Streaming, read: int
) -> None:
    stream = running.gateway.stream(Call(QUESTION))
    for _ in range(read):
        next(stream)

    stream.close()
    stream.close()

    (row,) = ingested(system, 1)
    assert client.opened[0].closed
    assert (row.success, row.error_class, row.counts, row.tokens_estimated) == (False, "client_gone", False, True)
    assert row.completion_tokens == -(-3 * read // 4)
    assert running.gateway.breakers.value == {}


def test_a_stream_read_to_its_end_is_recorded_once(system: System, running: Running) -> None:
    stream = running.gateway.stream(Call(QUESTION))
    texts(stream)
    stream.close()

    (row,) = ingested(system, 1)
    assert (row.success, row.cost_usd) == (True, 0.001)


def test_the_first_token_has_a_limit_of_its_own(system: System, running: Running, client: Streaming) -> None:
    texts(running.gateway.stream(Call(QUESTION)))

    limits = system.services.policy.gateway
    assert client.limits[0]["first_token_ms"] == limits.first_token_ms
    assert 0 < client.limits[0]["timeout_ms"] <= limits.deadline_ms


def test_a_bad_request_to_a_named_provider_is_not_streamed_elsewhere(running: Running, client: Streaming) -> None:
    client.behaviours["deepseek"] = fails_with(BadRequest)

    with pytest.raises(BadRequest):
        running.gateway.stream(Call(QUESTION, provider="deepseek"))

    assert [name for name, _ in client.calls] == ["deepseek"]


def test_a_named_model_is_the_only_one_called(system: System, running: Running) -> None:
    target = system.services.targets[-1]

    stream = running.gateway.stream(Call(QUESTION, provider=target.provider, model=target.model))

    assert stream.target == target
    with pytest.raises(UnknownModel, match="has no model"):
        running.gateway.stream(Call(QUESTION, provider=target.provider, model="other"))


def after(*delays: float | None) -> AllAttemptsFailed:
    return AllAttemptsFailed(causes=tuple(RateLimited(retry_after_s=delay) for delay in delays))


@pytest.mark.parametrize(("delays", "told"), [((7.0, 3.0), 3.0), ((7.0, None), None), ((), None)])
def test_who_is_refused_everywhere_may_come_back_when_the_first_may_be_asked_again(
    delays: tuple[float | None, ...], told: float | None
) -> None:
    assert after(*delays).retry_after_s == told


def test_a_target_that_says_when_it_can_be_asked_again_is_left_alone_until_then(
    running: Running, client: Streaming
) -> None:
    def limited(model: str, request: ChatRequest) -> Answer:
        raise RateLimited(retry_after_s=30)

    client.behaviours["deepseek"] = limited
    texts(running.gateway.stream(Call(QUESTION)))

    stream = running.gateway.stream(Call(QUESTION))

    assert (stream.target.provider, stream.attempts) == ("gemini", ())


def half_open(running: Running, target: Target) -> None:
    now = utc_now()
    running.gateway.breakers.value = {target: Breaker(3, now, "overloaded", now)}
    running.gateway.breakers.trials.patience_s = 10  # a machine that is busy does not decide a test
    running.gateway.breakers.generation += 1


def test_a_half_open_target_gets_one_trial_at_a_time(running: Running, client: Streaming) -> None:
    target = running.gateway.services.targets[0]
    half_open(running, target)

    trial = running.gateway.stream(Call(QUESTION))
    meanwhile = [running.gateway.stream(Call(QUESTION)) for _ in range(5)]

    assert trial.target == target
    assert target not in {stream.target for stream in meanwhile}
    texts(trial)
    assert running.gateway.stream(Call(QUESTION)).target == target


def test_a_trial_whose_caller_went_away_is_given_to_the_next(running: Running) -> None:
    target = running.gateway.services.targets[0]
    half_open(running, target)

    running.gateway.stream(Call(QUESTION)).close()
    wait_until(lambda: not running.gateway.breakers.trials.untold, what="it is given back")

    assert running.gateway.stream(Call(QUESTION)).target == target


def test_a_target_on_trial_is_still_the_last_resort(running: Running, client: Streaming) -> None:
    target = running.gateway.services.targets[0]
    half_open(running, target)
    trial = running.gateway.stream(Call(QUESTION))
    for name in ALL[1:]:
        client.behaviours[name] = fails_with(Overloaded)

    assert running.gateway.stream(Call(QUESTION)).target == trial.target


def test_the_attempts_of_a_request_are_bounded(system: System, client: Streaming) -> None:
    policy = Policy()
    two = replace(policy, gateway=replace(policy.gateway, max_attempts=2))
    started = bootstrap.start(replace(system.services, client=client, policy=two), seed=1)  # type: ignore[arg-type]  # the seam
    for name in ALL:
        client.behaviours[name] = fails_with(Overloaded)

    with pytest.raises(AllAttemptsFailed):
        started.gateway.stream(Call(QUESTION))

    assert len(client.calls) == 2
    started.stop()
