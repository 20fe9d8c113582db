"""What keys may use, over a real Redis and Postgres, by two processes and by one alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import redis
from sqlalchemy.orm import sessionmaker

from app.access import ledger
from app.access.allowance import Allowance
from app.access.allowances import Allowances
from app.access.spending import Spending
from app.bootstrap import connect
from app.domain.key_limits import MINUTE_S, NANOS, Budget, KeyLimits
from app.errors import BudgetSpent, InvalidRequest, TooManyRequests
from app.store import database
from tests.support.waiting import wait_until

#: 2026-11-30 12:00:20 UTC
NOW = 1_796_040_020.0


class Process:
    """One of several, whose clock, like Redis's, stands still."""

    def __init__(self, redis_url: str, database_url: str, budgets: dict[str, KeyLimits] | None = None) -> None:
        self.now_s = NOW
        self.engine = database.create(database_url)
        self.budgets = budgets or {}
        self.made = Allowances(
            connect(redis_url), Spending(sessionmaker(self.engine)), lambda: self.budgets, lambda: self.now_s, NOW
        )

    def at(self, now_s: float) -> None:
        self.now_s = self.made.ledger.now_s = now_s

    def ask(self, limits: KeyLimits, tokens: int = 0, usd: float | None = None, key: str = "k") -> Allowance:
        asked = self.made.of(key, "a test", limits)
        self.made.begin(asked, sized=limits.by_size)
        asked.reserve(tokens, usd)
        return asked

    def use(self, limits: KeyLimits, tokens: int = 0, usd: float = 0.0, key: str = "k") -> Allowance:
        asked = self.ask(limits, tokens, usd, key)
        asked.settle(tokens, usd)
        asked.close()
        self.made.tell()
        return asked


@contextmanager
def process(redis_url: str, database_url: str, budgets: dict[str, KeyLimits] | None = None) -> Iterator[Process]:
    made = Process(redis_url, database_url, budgets)
    yield made
    made.engine.dispose()


@pytest.fixture
def two(redis_url: str, database_url: str) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        yield [stack.enter_context(process(redis_url, database_url)) for _ in range(2)]


@pytest.fixture
def alone(database_url: str) -> Iterator[Process]:
    with process("unix:///nothing/here.sock", database_url) as made:
        yield made


def admitted(each: Process, limits: KeyLimits, tokens: int = 0, usd: float = 0.0) -> bool:
    try:
        each.use(limits, tokens, usd)
    except TooManyRequests:
        return False
    return True


def test_two_processes_let_as_many_requests_pass_as_the_limit_says_and_no_more(two: list[Process]) -> None:
    limits = KeyLimits(requests_per_minute=300)

    with ThreadPoolExecutor(16) as pool:
        passed = list(pool.map(lambda n: admitted(two[n % 2], limits), range(1000)))

    assert passed.count(True) == 300


def test_two_processes_spend_a_budget_and_not_a_cent_more(two: list[Process]) -> None:
    limits = KeyLimits(budget=Budget(day_usd=1.0))

    with ThreadPoolExecutor(16) as pool:
        passed = list(pool.map(lambda n: admitted(two[n % 2], limits, 10, 0.004), range(600)))

    # what is reserved at a moment may hold one more off, until it is settled: then it passes
    while admitted(two[0], limits, 10, 0.004):
        passed.append(True)
    assert passed.count(True) == 250
    told, _ = two[1].made.figures("k", limits)
    assert (told.day_spent, told.month_spent, told.held, told.open) == (NANOS, NANOS, 0, 0)


def test_what_was_reserved_and_not_used_is_free_again(two: list[Process]) -> None:
    limits = KeyLimits(tokens_per_minute=1000, budget=Budget(day_usd=1.0))
    asked = two[0].ask(limits, 900, 0.9)
    for tokens, usd in ((200, 0.01), (10, 0.2)):
        with pytest.raises(TooManyRequests):
            two[1].ask(limits, tokens, usd)

    asked.settle(100, 0.05)
    asked.close()
    two[0].made.tell()

    two[1].use(limits, 900, 0.95)
    with pytest.raises(TooManyRequests):
        two[1].ask(limits, 1, 0.0)


def test_an_answer_that_cost_more_than_was_reserved_is_counted_whole(two: list[Process]) -> None:
    limits = KeyLimits(budget=Budget(day_usd=1.0))
    asked = two[0].ask(limits, 10, 0.1)
    asked.settle(10, 1.5)
    asked.close()
    two[0].made.tell()
    with pytest.raises(BudgetSpent, match=r"1\.5 USD are spent"):
        two[1].ask(limits, 1, 0.0)


def test_a_request_that_failed_costs_nothing_and_counts(two: list[Process]) -> None:
    limits = KeyLimits(requests_per_minute=2, budget=Budget(day_usd=1.0))
    asked = two[0].ask(limits, 10, 0.9)
    asked.close()
    asked.close()
    two[0].made.tell()

    assert two[1].use(limits, 10, 1.0).figures.requests == 2  # type: ignore[union-attr]  # it has limits
    with pytest.raises(TooManyRequests, match="2 requests per minute"):
        two[1].ask(limits)


def test_places_are_counted_over_all_processes(two: list[Process]) -> None:
    limits = KeyLimits(in_flight=2)
    held = [each.ask(limits) for each in two]
    with pytest.raises(TooManyRequests, match="2 requests in flight") as refused:
        two[0].ask(limits)
    assert refused.value.retry_after_s == 1.0

    held[1].close()
    two[1].made.tell()

    two[0].ask(limits)


def test_a_place_that_is_just_being_given_back_is_waited_for(two: list[Process]) -> None:
    limits = KeyLimits(in_flight=1)
    two[0].made.start()
    for _ in range(20):
        asked = two[0].ask(limits)
        asked.close()
    two[0].made.stop()


def test_a_request_of_a_process_that_died_is_forgotten_and_one_that_lasts_is_not(two: list[Process]) -> None:
    limits = KeyLimits(in_flight=2, budget=Budget(day_usd=1.0))
    dead, lasting = two
    dead.ask(limits, 1, 0.4)
    lasting.ask(limits, 1, 0.5)

    lasting.at(NOW + ledger.HOLD_S - 1)
    lasting.made.renew()
    lasting.at(NOW + ledger.HOLD_S + 1)

    told = lasting.ask(limits, 1, 0.5).figures
    assert told is not None
    assert (told.open, told.held) == (2, NANOS)


def test_a_minute_and_a_day_and_a_month_begin_anew(two: list[Process]) -> None:
    limits = KeyLimits(1, None, None, Budget(1.0, 1.5, "Europe/Zurich"))
    here = two[0]
    here.use(limits, 1, 1.0)
    with pytest.raises(TooManyRequests) as refused:
        here.ask(limits, 1, 0.1)
    assert refused.value.retry_after_s == pytest.approx(MINUTE_S - NOW % MINUTE_S, abs=0.01)

    here.at(NOW + MINUTE_S)
    with pytest.raises(BudgetSpent, match="1 USD a day") as spent:
        here.ask(limits, 1, 0.1)
    # Zurich's midnight is 23:00 UTC; this is the last day of the month there too
    assert spent.value.retry_after_s == pytest.approx(1_796_079_600 - NOW - MINUTE_S, abs=0.01)

    here.at(1_796_079_600.0)
    assert here.use(limits, 1, 0.9).figures.month_spent == 0  # type: ignore[union-attr]  # as above
    here.at(1_796_079_600.0 + 86_400)
    with pytest.raises(BudgetSpent, match=r"1.5 USD a month \(Europe/Zurich\): 0.9 USD are spent"):
        here.ask(limits, 1, 0.7)


def test_a_soft_budget_lets_everything_pass_and_counts(two: list[Process]) -> None:
    limits = KeyLimits(budget=Budget(day_usd=1.0, hard=False))
    for _ in range(3):
        two[0].use(limits, 1, 0.8)
    assert two[1].made.figures("k", limits)[0].day_spent == pytest.approx(2.4 * NANOS)


def test_more_tokens_than_a_minute_has_are_refused_for_good(two: list[Process]) -> None:
    with pytest.raises(InvalidRequest, match="up to 101 tokens") as refused:
        two[0].ask(KeyLimits(tokens_per_minute=100), 101)
    assert refused.value.field == "max_tokens"


def test_keys_do_not_share_anything(two: list[Process]) -> None:
    limits = KeyLimits(requests_per_minute=1)
    two[0].use(limits, key="one")
    two[0].use(limits, key="other")


def test_requests_that_were_refused_before_their_size_was_known_count_too(two: list[Process]) -> None:
    limits = KeyLimits(requests_per_minute=3, tokens_per_minute=1000)

    def malformed() -> None:
        asked = two[0].made.of("k", "a test", limits)
        two[0].made.begin(asked, sized=True)
        asked.close()

    for _ in range(3):
        malformed()
    with pytest.raises(TooManyRequests, match="3 requests per minute"):
        malformed()
    two[0].made.tell()
    with pytest.raises(TooManyRequests, match="3 requests per minute"):
        two[1].ask(limits, 1)


def test_without_redis_a_process_counts_alone(alone: Process) -> None:
    limits = KeyLimits(2, 100, None, Budget(day_usd=1.0))
    asked = alone.ask(limits, 60, 0.6)
    with pytest.raises(TooManyRequests, match="100 tokens per minute"):
        alone.ask(limits, 50, 0.1)
    with pytest.raises(BudgetSpent):
        alone.ask(limits, 10, 0.5)
    asked.settle(10, 0.1)
    asked.close()
    alone.ask(limits, 50, 0.5)
    with pytest.raises(TooManyRequests, match="2 requests per minute"):
        alone.ask(limits)


def test_without_redis_places_are_those_of_the_process(alone: Process) -> None:
    limits = KeyLimits(in_flight=1)
    asked = alone.ask(limits)
    with pytest.raises(TooManyRequests):
        alone.ask(limits)
    asked.close()
    alone.ask(limits)


def test_what_was_counted_while_redis_was_away_is_told_when_it_is_back(
    two: list[Process], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = KeyLimits(3, None, None, Budget(day_usd=1.0))
    here, there = two
    here.use(limits, 1, 0.2)

    def away(*_: object, **__: object) -> None:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(here.made.ledger, "_take", away)
        patched.setattr(here.made.ledger, "_settle", away)
        asked = here.ask(limits, 1, 0.5)
        asked.settle(1, 0.5)
        asked.close()
        with pytest.raises(redis.ConnectionError):
            here.made.tell()
        with pytest.raises(BudgetSpent, match=r"0\.7 USD are spent"):
            here.ask(limits, 1, 0.4)
    here.made.tell()

    told, _ = there.made.figures("k", limits)
    assert (told.requests, told.day_spent) == (2, round(0.7 * NANOS))


def test_a_redis_that_lost_its_data_learns_what_is_spent(redis_url: str, database_url: str) -> None:
    limits = KeyLimits(budget=Budget(1.0, 2.0))
    with process(redis_url, database_url, {"k": limits}) as here:
        here.use(limits, 10, 0.7)
        here.made.keep()
        connect(redis_url).flushall()
        with pytest.raises(BudgetSpent):  # of one that has heard of it
            here.ask(limits, 10, 0.4)
        connect(redis_url).flushall()
        with process(redis_url, database_url, {"k": limits}) as fresh:
            fresh.made.keep()
            with pytest.raises(BudgetSpent, match=r"0\.7 USD are spent"):
                fresh.ask(limits, 10, 0.4)
            told, _ = here.made.figures("k", limits)
            assert (told.day_spent, told.month_spent) == (round(0.7 * NANOS), round(0.7 * NANOS))


def test_a_process_that_ends_writes_what_it_could_not_tell(database_url: str) -> None:
    limits = KeyLimits(budget=Budget(1.0))
    with process("unix:///nothing/here.sock", database_url, {"k": limits}) as here:
        here.made.start()
        asked = here.ask(limits, 10, 0.7)
        asked.settle(10, 0.7)
        asked.close()
        here.made.stop()
        spending = Spending(sessionmaker(here.engine))
        spending.read(["k"])
        assert spending.known("k", "2026-11-30", "2026-11").day_spent == round(0.7 * NANOS)


def test_the_thread_tells_and_writes_by_itself(redis_url: str, database_url: str) -> None:
    limits = KeyLimits(budget=Budget(1.0))
    with process(redis_url, database_url, {"k": limits}) as here, process(redis_url, database_url) as there:
        here.made.start()
        asked = here.ask(limits, 10, 0.7)
        asked.settle(10, 0.3)
        asked.close()
        wait_until(lambda: there.made.figures("k", limits)[0].day_spent == round(0.3 * NANOS))
        here.made.stop()
        spending = Spending(sessionmaker(here.engine))
        spending.read(["k"])
        assert spending.known("k", "2026-11-30", "2026-11").month_spent == round(0.3 * NANOS)


def test_a_request_of_a_key_with_limits_asks_redis_once(two: list[Process], monkeypatch: pytest.MonkeyPatch) -> None:
    limits = KeyLimits(100, 1000, 5, Budget(1.0))
    two[0].use(limits, 1, 0.1)
    sent: list[object] = []
    lock = threading.Lock()
    send = redis.connection.AbstractConnection.send_packed_command

    def counted(self: redis.connection.AbstractConnection, command: object, **rest: object) -> None:
        with lock:
            sent.append(command)
        send(self, command, **rest)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)
    asked = two[0].ask(limits, 1, 0.1)
    asked.settle(1, 0.1)
    asked.close()
    assert len(sent) == 1
