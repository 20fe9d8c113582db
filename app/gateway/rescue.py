"""How an answer that broke off goes on in another one's words: letter by letter the same, or told to continue.

Those who read do so without giving anything out until that is certain, let BEATs pass, and return what comes first
then. They raise BeganDifferently, where the caller is better off with an error than with a mixture of two answers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice
from time import perf_counter

from app.domain.catalog import Target
from app.domain.targets import limits
from app.errors import BeganDifferently, LocalFailure, ProviderError, Timeout
from app.gateway import choice
from app.gateway.attempt import Attempt, begin
from app.gateway.calls import Begun
from app.gateway.request import Request
from app.providers import capabilities
from app.providers.base import BEAT, Delta

#: characters by which an answer is known that begins anew, where it was to go on
TELLING = 24
#: calls that are made for one answer
MOST = 3

Ahead = Generator[Delta, None, tuple[Delta, ...]]


def is_possible(request: Request, failure: ProviderError) -> bool:
    """Not after our own clock's end, nor our own failure, nor where another one may not be asked at all."""
    if request.services.policy.gateway.rescue_ms == 0:
        return False
    ours = isinstance(failure, LocalFailure) or (isinstance(failure, Timeout) and failure.phase == "total")
    return not ours and request.goes_elsewhere(failure) and request.time_left_ms() > 0


def attempts(
    request: Request, broken: Attempt[Begun], given: str, until_s: float
) -> Iterator[tuple[Attempt[Begun], bool]]:
    """Attempts at going on with an answer that broke off behind `given`, each with whether it is told that.

    First those of the same model, whose beginnings often agree, then the target itself, but never after its silence; a
    model that begins otherwise is left at the first letter that differs. None begins after `until_s` of perf_counter().
    """
    for attempt in islice(_attempts(request, broken, given), MOST):
        yield attempt
        if perf_counter() >= until_s:
            return


def _attempts(request: Request, broken: Attempt[Begun], given: str) -> Iterator[tuple[Attempt[Begun], bool]]:
    for target in sorted(request.route.order, key=lambda each: _likely(each, broken.target)):
        if target == broken.target:
            if _may_begin_anew(request, broken):
                yield choice.attempt_at(request, target, begin), False
            continue
        if not choice.may_call(request, target) or choice.passes_over(request, target):
            continue
        if not choice.admits(request, target):
            continue
        if given.strip() and _continues(request, target):
            yield choice.attempt_at(request, target, begin, prefill=given.rstrip()), True
        yield choice.attempt_at(request, target, begin), False


def _likely(target: Target, broken: Target) -> int:
    """Who begins with the same words most likely comes first."""
    if target == broken:
        return 1
    return 0 if _is_same_model(target, broken) else 2


def _may_begin_anew(request: Request, broken: Attempt[Begun]) -> bool:
    asked = [each for each in request.attempts if each.target == broken.target]
    return len(asked) == 1 and broken.status != Timeout.code and request.time_left_ms() > 0


def _is_same_model(one: Target, other: Target) -> bool:
    """Also as a host that has many names it: openai/gpt-5, gpt-5:free. Another model begins in words of its own."""
    return _bare(one.model) == _bare(other.model)


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1].partition(":")[0].lower()


def in_time(deltas: Iterator[Delta], until_s: float) -> Iterator[Delta]:
    """What is read while nothing is given out: it does not go on for ever."""
    for delta in deltas:
        yield delta
        if perf_counter() >= until_s:
            raise BeganDifferently("it did not come as far as the answer that broke off in time")


def _continues(request: Request, target: Target) -> bool:
    """Is it known to go on from the end of an assistant's message, also with what this request asks for?"""
    asked = request.call.parameters
    if request.call.completion is not None:
        return False
    shaped = asked.get("json_schema") is not None or asked.get("json_mode")
    thinks = limits.thinks(target.model, asked.get("reasoning_effort"))
    can = capabilities.of(request.services.endpoints[target.provider].provider, target.model)
    return not (shaped or thinks) and can.prefill == "continued"


def agreeing(deltas: Iterator[Delta], given: str) -> Ahead:
    """The rest of an answer that begins with `given`: it is one whole answer, whoever gave its beginning out."""
    place = 0
    for delta in deltas:
        if delta is BEAT:
            yield BEAT
        elif delta.text or delta.is_visible:
            if place == len(given):
                return (delta,)
            part = given[place : place + len(delta.text)]
            if not delta.text or not delta.text.startswith(part):
                raise BeganDifferently
            place += len(part)
            if len(part) < len(delta.text):
                return (delta._replace(text=delta.text[len(part) :]),)
    if place < len(given):
        raise BeganDifferently("its answer is shorter than what the caller has of the one that broke off")
    return ()


def continuing(deltas: Iterator[Delta], given: str) -> Ahead:
    """What a target says that was told to go on from `given`, which it got without the blanks at its end.

    One that begins anew all the same is known by its first words.
    """
    held: list[Delta] = []
    text = ""
    for delta in deltas:
        if delta is BEAT:
            yield BEAT
        elif delta.text or delta.is_visible:
            held.append(delta)
            text += delta.text
            if len(text.strip()) >= TELLING or not delta.text:
                break
    begin = text.lstrip()[:TELLING]
    if not held or (begin and given.lstrip().startswith(begin)):
        raise BeganDifferently("told to go on, it began anew")
    return _joined(held, given[len(given.rstrip()) :])


def _joined(held: list[Delta], blanks: str) -> tuple[Delta, ...]:
    """Without the blanks that the caller has already."""
    joined = []
    for delta in held:
        text = delta.text
        while blanks and text and text[0] == blanks[0]:
            blanks, text = blanks[1:], text[1:]
        if text:
            blanks = ""
        joined.append(delta._replace(text=text))
    return tuple(joined)


def without_reasoning(deltas: Iterator[Delta]) -> Iterator[Delta]:
    """Of who goes on: the caller has had the thoughts of who began."""
    for delta in deltas:
        if delta is BEAT or delta.text or delta.is_visible:
            yield delta
