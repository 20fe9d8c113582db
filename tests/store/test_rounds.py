"""Rounds in a real PostgreSQL: what a second worker, a lost worker and a late one can and cannot do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TypeVar

import pytest

from app.domain.catalog import Prompt, Target, TaskType
from app.domain.rounds.rounds import ProbeKey
from app.store import claims, database, rounds
from app.store.claims import Claimed, Finished, Place, ProbeResult
from app.store.database import Sessions
from app.store.models import Probe, ProbeStatus, Round, RoundStatus

T = TypeVar("T")

LEASE = timedelta(seconds=60)
#: a lease that has run out the moment it is given
SPENT = timedelta(seconds=-1)
TARGETS = (Target("fast", "m1"), Target("slow", "m2"))
PROMPTS = tuple(Prompt(f"p{n}", "maths", TaskType.ANALYSIS, "1+1?", 10, "numeric", 2) for n in range(3))
OK = ProbeResult(ProbeStatus.OK, latency_ms=12.5, quality=1.0)


def plan(sessions: Sessions, *, in_slot: bool = False, deadline: timedelta = LEASE) -> str | None:
    with database.transaction(sessions) as session:
        return rounds.plan(
            session,
            now=database.now(session),
            deadline=deadline,
            trigger="test",
            slot_start=rounds.current_slot(session, timedelta(hours=1)) if in_slot else None,
            targets=TARGETS,
            prompts=PROMPTS,
            simulated=True,
        )


def planned(sessions: Sessions, **options: timedelta) -> str:
    round_id = plan(sessions, **options)
    assert round_id is not None
    return round_id


def claim(
    sessions: Sessions, key: ProbeKey, *, lease: timedelta = LEASE, concurrency: int = 99
) -> tuple[ProbeKey, int] | None:
    with database.transaction(sessions) as session:
        claimed = claims.claim(session, Place(key.provider, concurrency, 1000, lease, max_attempts=2), key)
        return None if claimed is None else (claimed.key, claimed.attempt)


def finish(sessions: Sessions, key: ProbeKey, attempt: int, result: ProbeResult = OK) -> bool:
    with database.transaction(sessions) as session:
        return claims.finish(session, Claimed(key, attempt), result)


def begin_optimizing(sessions: Sessions, round_id: str) -> bool:
    with database.transaction(sessions) as session:
        return claims.begin_optimizing(session, round_id)


def waiting(sessions: Sessions, round_id: str) -> list[ProbeKey]:
    with database.transaction(sessions) as session:
        return claims.waiting(session, round_id, max_attempts=2)


def stored(sessions: Sessions, key: ProbeKey) -> Probe:
    with database.transaction(sessions) as session:
        return session.get_one(Probe, (key.round_id, key.provider, key.model, key.prompt_id))


def at_once(count: int, step: Callable[[int], T]) -> list[T]:
    """Run `step` in `count` threads that start together."""
    barrier = Barrier(count)

    def run(number: int) -> T:
        barrier.wait()
        return step(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_round_is_planned_with_a_probe_per_target_and_prompt(sessions: Sessions) -> None:
    round_id = planned(sessions)

    keys = waiting(sessions, round_id)

    assert len(keys) == len(set(keys)) == 6
    assert {key.target for key in keys} == set(TARGETS)


def test_twenty_beats_start_a_slot_once(sessions: Sessions) -> None:
    ids = at_once(20, lambda _: plan(sessions, in_slot=True))

    assert len([each for each in ids if each is not None]) == 1


def test_manual_rounds_started_in_the_same_millisecond_all_stand(sessions: Sessions) -> None:
    ids = at_once(10, lambda _: plan(sessions))

    assert len({each for each in ids if each is not None}) == 10


def test_a_probe_is_claimed_once_however_often_its_message_comes(sessions: Sessions) -> None:
    round_id = planned(sessions)
    mine = [key for key in waiting(sessions, round_id) if key.provider == "fast"]

    claims = at_once(12, lambda n: claim(sessions, mine[n % 3]))

    assert sorted(c[0] for c in claims if c is not None) == sorted(mine)


def test_claims_never_pass_the_concurrency_of_a_provider(sessions: Sessions) -> None:
    round_id = planned(sessions)
    mine = [key for key in waiting(sessions, round_id) if key.provider == "slow"]

    claims = at_once(12, lambda n: claim(sessions, mine[n % 3], concurrency=2))

    assert len([c for c in claims if c is not None]) == 2


def test_a_hint_at_a_taken_probe_claims_another_one_that_waits(sessions: Sessions) -> None:
    hint = waiting(sessions, planned(sessions))[0]
    claim(sessions, hint)

    second = claim(sessions, hint)

    assert second is not None
    assert second[0] != hint
    assert second[0].provider == hint.provider


def test_probe_of_a_lost_worker_is_claimed_again_when_its_lease_is_over(sessions: Sessions) -> None:
    hint = waiting(sessions, planned(sessions))[0]

    first = claim(sessions, hint, lease=SPENT)
    second = claim(sessions, hint)

    assert first == (hint, 1)
    assert second == (hint, 2)


def test_late_result_of_an_earlier_attempt_is_refused(sessions: Sessions) -> None:
    hint = waiting(sessions, planned(sessions))[0]
    claim(sessions, hint, lease=SPENT)
    claim(sessions, hint)

    assert not finish(sessions, hint, 1, ProbeResult(ProbeStatus.ERROR, error_class="zombie"))
    assert finish(sessions, hint, 2)
    assert not finish(sessions, hint, 2, ProbeResult(ProbeStatus.ERROR, error_class="again"))
    assert stored(sessions, hint).status == ProbeStatus.OK


def test_probe_whose_second_worker_is_lost_too_ends_as_our_failure(sessions: Sessions) -> None:
    hint = waiting(sessions, planned(sessions))[0]
    claim(sessions, hint, lease=SPENT)
    claim(sessions, hint, lease=SPENT)

    third = claim(sessions, hint)
    with database.transaction(sessions) as session:
        given_up = rounds.give_up_on_lost_probes(session, max_attempts=2)

    assert third is not None
    assert third[0] != hint
    assert given_up == 1
    assert (stored(sessions, hint).error_class, stored(sessions, hint).counts) == (rounds.WORKER_LOST, False)


@pytest.mark.parametrize("repetition", range(10))
def test_of_probes_that_finish_together_exactly_one_finishes_the_round(sessions: Sessions, repetition: int) -> None:
    round_id = planned(sessions)
    keys = waiting(sessions, round_id)
    for key in keys:
        claim(sessions, key)

    def finish_and_check(n: int) -> bool:
        finish(sessions, keys[n], 1)
        return begin_optimizing(sessions, round_id)

    assert sum(at_once(6, finish_and_check)) == 1


def test_round_with_an_unfinished_probe_is_not_finished(sessions: Sessions) -> None:
    round_id = planned(sessions)
    for key in waiting(sessions, round_id)[1:]:
        claim(sessions, key)
        finish(sessions, key, 1)

    assert not begin_optimizing(sessions, round_id)


def test_overdue_round_closes_what_nobody_works_on_and_says_why(sessions: Sessions) -> None:
    round_id = planned(sessions, deadline=SPENT)
    in_flight, *left = waiting(sessions, round_id)
    claim(sessions, in_flight)

    with database.transaction(sessions) as session:
        assert rounds.close_overdue(session) == 5

    assert {stored(sessions, key).error_class for key in left} == {rounds.NOT_RUN}
    assert not begin_optimizing(sessions, round_id)  # the call in flight may still end well
    assert finish(sessions, in_flight, 1)
    assert begin_optimizing(sessions, round_id)


def test_probes_of_a_round_that_is_over_are_not_claimed(sessions: Sessions) -> None:
    round_id = planned(sessions)
    hint = waiting(sessions, round_id)[0]
    with database.transaction(sessions) as session:
        session.get_one(Round, round_id).status = RoundStatus.FAILED

    assert claim(sessions, hint) is None


def test_stuck_round_is_sent_to_the_optimizer_once_per_patience(sessions: Sessions) -> None:
    round_id = planned(sessions)
    with database.transaction(sessions) as session:
        session.get_one(Round, round_id).status = RoundStatus.OPTIMIZING

    def stuck() -> list[str]:
        with database.transaction(sessions) as session:
            return rounds.stuck_optimizing(session, LEASE)

    assert stuck() == [round_id]
    assert stuck() == []


def test_who_finishes_a_probe_may_go_on_with_the_next_in_the_same_transaction(sessions: Sessions) -> None:
    hint = waiting(sessions, planned(sessions))[0]
    claim(sessions, hint)
    place = Place(hint.provider, concurrency=1, timeout_ms=1000, lease=LEASE, max_attempts=2)

    with database.transaction(sessions) as session:
        assert claims.finish(session, Claimed(hint, 1), OK)
        following = claims.claim(session, place)

    assert following is not None
    assert following.key.provider == hint.provider
    assert following.key != hint
    assert stored(sessions, following.key).status == ProbeStatus.RUNNING


def test_what_was_committed_unheard_is_found_with_the_probe_that_was_claimed_with_it(sessions: Sessions) -> None:
    hint = waiting(sessions, planned(sessions))[0]
    place = Place(hint.provider, concurrency=1, timeout_ms=1000, lease=LEASE, max_attempts=2)
    claim(sessions, hint)

    with database.transaction(sessions) as session:
        assert claims.finished_before(session, Claimed(hint, 1), place) is None
    with database.transaction(sessions) as session:
        claims.finish(session, Claimed(hint, 1), OK)
        following = claims.claim(session, place)
    with database.transaction(sessions) as session:
        found = claims.finished_before(session, Claimed(hint, 1), place)

    assert following is not None
    assert found == Finished(True, following=following)


def test_the_reaper_leaves_what_another_transaction_holds(sessions: Sessions) -> None:
    round_id = planned(sessions, deadline=SPENT)
    held, *others = waiting(sessions, round_id)

    with database.transaction(sessions) as session:
        session.get_one(Probe, (held.round_id, held.provider, held.model, held.prompt_id), with_for_update=True)
        with database.transaction(sessions) as reaper:
            assert rounds.close_overdue(reaper) == len(others)


def test_a_row_that_another_transaction_holds_is_passed_over(sessions: Sessions) -> None:
    hint = waiting(sessions, planned(sessions))[0]

    with database.transaction(sessions) as session:
        session.get_one(Probe, (hint.round_id, hint.provider, hint.model, hint.prompt_id), with_for_update=True)
        claimed = claim(sessions, hint)

    assert claimed is not None
    assert claimed[0] != hint


def test_an_answered_probe_takes_no_place_while_it_is_graded(sessions: Sessions) -> None:
    round_id = planned(sessions)
    first, second = (ProbeKey(round_id, "slow", "m2", f"p{n}") for n in range(2))
    assert claim(sessions, first, concurrency=1) == (first, 1)
    assert claim(sessions, second, concurrency=1) is None

    with database.transaction(sessions) as session:
        claims.answered(session, Claimed(first, 1), Place("slow", 1, 1000, LEASE, 2))

    assert claim(sessions, second, concurrency=1) == (second, 1)
    assert finish(sessions, first, 1)


def test_a_probe_that_is_claimed_again_takes_its_place_again(sessions: Sessions) -> None:
    round_id = planned(sessions)
    first, second = (ProbeKey(round_id, "slow", "m2", f"p{n}") for n in range(2))
    assert claim(sessions, first, concurrency=1, lease=SPENT) == (first, 1)
    with database.transaction(sessions) as session:
        claims.answered(session, Claimed(first, 1), Place("slow", 1, 1000, timedelta(seconds=-61), 2))

    assert claim(sessions, first, concurrency=1) == (first, 2)

    assert claim(sessions, second, concurrency=1) is None


def test_each_round_has_an_order_of_its_own(sessions: Sessions) -> None:
    orders = []
    for _ in range(4):
        round_id = planned(sessions)
        with database.transaction(sessions) as session:
            orders.append([(key.provider, key.prompt_id) for key in claims.waiting(session, round_id, 2)])

    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(orders[0]))}
    assert len({tuple(order) for order in orders}) > 1
