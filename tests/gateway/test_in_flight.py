"""A target that accepts and never answers is noticed by the calls that wait for it."""

from __future__ import annotations

import pytest

from app.domain.catalog import Target
from app.gateway.in_flight import GIVE_UP_S, KNOWN, InFlight

TARGET = Target("one", "m")


class World:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.calls = InFlight(lambda: self.now_s)

    def begins(self, *names: str, stream: bool = True) -> None:
        for name in names:
            self.calls.begin(TARGET, name, stream=stream)

    def hangs(self, *, stream: bool = True) -> bool:
        return self.calls.hangs(TARGET, stream=stream, unknown_ms=5000)

    def known(self, *, stream: bool) -> None:
        """It answers within half a second."""
        for _ in range(KNOWN):
            self.begins("x", stream=stream)
            self.now_s += 0.5
            self.calls.end(TARGET, "x", stream=stream, answered=True)


@pytest.mark.parametrize(("names", "waited_s", "hangs"), [("abc", 5.1, True), ("abc", 4.9, False), ("ab", 60, False)])
def test_three_calls_that_are_late_at_once_tell(names: str, waited_s: float, hangs: bool) -> None:
    world = World()
    world.begins(*names)
    world.now_s += waited_s
    assert world.hangs() is hangs


def test_it_hangs_no_more_with_the_first_answer_of_any() -> None:
    world = World()
    world.begins(*"abcd")
    world.now_s += 6
    world.calls.end(TARGET, "d", stream=True, answered=True)
    assert not world.hangs()
    world.now_s += 6
    assert world.hangs()


def test_what_is_usual_says_what_is_late() -> None:
    world = World()
    world.known(stream=True)
    world.begins(*"abc")
    world.now_s += 2.1
    assert world.hangs()


def test_a_call_that_ends_waits_no_more() -> None:
    world = World()
    world.begins(*"abc")
    world.now_s += 6
    world.calls.end(TARGET, "a", stream=True, answered=False)
    assert not world.hangs()


@pytest.mark.parametrize("known", [True, False])
def test_long_plain_answers_are_given_up_only_where_they_are_known_to_be_short(known: bool) -> None:
    world = World()
    if known:
        world.known(stream=False)
    world.begins(*"abc", stream=False)
    world.now_s += GIVE_UP_S - 1
    assert world.calls.given_up() == []
    world.now_s += 2
    assert world.calls.given_up() == (["a", "b", "c"] if known else [])
