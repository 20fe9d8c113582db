from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.routing.ending import ending, fell_over

ORDER = ["a/x", "b/y", "c/z"]


def attempt(target: str, code: str | None = None, *, success: bool = False) -> dict[str, Any]:
    provider, model = target.split("/")
    error = {"error": {"code": code, "message": "…"}} if code else {}
    return {"provider": provider, "model": model, "success": success, **error}


KEPT_BACK = "its breaker is open, or on trial elsewhere"
ANSWERED = attempt("b/y", success=True)


@pytest.mark.parametrize(
    ("attempts", "served", "status", "sentence"),
    [
        ([attempt("a/x", success=True)], "a/x", "ok", "best score"),
        ([attempt("a/x", "timeout"), ANSWERED], "b/y", "ok", "next in the order after a/x failed (timeout)"),
        ([attempt("a/x", "unsupported"), ANSWERED], "b/y", "ok", "next in the order after a/x cannot do what is asked"),
        (
            [ANSWERED],
            "b/y",
            "ok",
            f"next in the order: a/x was not called, as {KEPT_BACK}",
        ),
        ([attempt("a/x", "hedged"), ANSWERED], "b/y", "ok", "it answered before a/x, which was late"),
        (
            [attempt("a/x", success=True), attempt("b/y", "hedged")],
            "a/x",
            "ok",
            "best score; b/y was asked beside it and not needed",
        ),
        ([attempt("a/x", "stream_cut")], "a/x", "stream_cut", "best score; the answer broke off (stream_cut)"),
        ([attempt("a/x")], "a/x", "client_gone", "best score; the client left before its end"),
        # a hedge behind a first target that cannot do it, or that was on trial
        (
            [attempt("a/x", "unsupported"), attempt("b/y", "hedged"), attempt("c/z", success=True)],
            "c/z",
            "ok",
            "it answered before b/y, which was late; a/x cannot do what is asked",
        ),
        (
            [attempt("b/y", "hedged"), attempt("c/z", success=True)],
            "c/z",
            "ok",
            f"it answered before b/y, which was late; a/x was not called, as {KEPT_BACK}",
        ),
        # one in between was on trial
        (
            [attempt("a/x", "timeout"), attempt("c/z", success=True)],
            "c/z",
            "ok",
            f"next in the order after a/x failed (timeout); b/y was not called, as {KEPT_BACK}",
        ),
        # the first was on trial for another request, and called when all others had failed
        (
            [attempt("b/y", "timeout"), attempt("c/z", "overloaded"), attempt("a/x", success=True)],
            "a/x",
            "ok",
            f"its turn came late, as {KEPT_BACK}; b/y failed (timeout); c/z failed (overloaded)",
        ),
        (
            [attempt("b/y", "hedged"), attempt("a/x", success=True)],
            "a/x",
            "ok",
            f"it answered before b/y, which was late; its turn came late, as {KEPT_BACK}",
        ),
        (
            [attempt("a/x", success=True), attempt("b/y", "overloaded")],
            "a/x",
            "ok",
            "best score; b/y, asked beside it, failed (overloaded)",
        ),
        (
            [attempt("a/x", "bad_request"), attempt("b/y", "hedged")],
            None,
            "bad_request",
            "nobody answered: a/x failed (bad_request); b/y was asked beside and not waited for",
        ),
        ([attempt("a/x", "timeout")], None, "all_attempts_failed", "nobody answered: a/x failed (timeout)"),
        ([], None, "timeout", "nobody answered: no target could be called in time"),
    ],
)
def test_the_sentence_is_true_for_every_end(
    attempts: list[dict[str, Any]], served: str | None, status: str, sentence: str
) -> None:
    assert ending(reason="best score", order=ORDER, attempts=attempts, served=served, status=status) == sentence


@dataclass
class Course:
    """A request as app.gateway.request and .hedging make it, with what really happened beside what is written down."""

    draw: Any
    order: list[str]
    most: int
    passed_over: list[dict[str, Any]] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    served: str | None = None
    status: str = "all_attempts_failed"
    #: whose breaker kept it from being called when its turn came
    kept_back: set[str] = field(default_factory=set)
    #: asked beside the first, and the first of two at once that was overtaken
    beside: str | None = None
    overtaken: str | None = None

    def run(self) -> None:
        first = next(self.turns(), None)
        if first is not None:
            self.race(first)
        for target in self.turns() if self.status == "all_attempts_failed" else ():
            if self.end(self.begin(target)):
                return

    def turns(self) -> Iterator[str]:
        on_trial = []
        for target in self.order:
            if not self.may_call(target):
                continue
            if self.draw(st.booleans()):
                yield target
            else:
                self.kept_back.add(target)
                on_trial.append(target)
        yield from (target for target in on_trial if self.may_call(target))

    def may_call(self, target: str) -> bool:
        called = [f"{each['provider']}/{each['model']}" for each in [*self.made, *self.passed_over]]
        return target not in called and len(self.made) < self.most

    def begin(self, target: str) -> dict[str, Any]:
        self.made.append(attempt(target))
        return self.made[-1]

    def race(self, target: str) -> None:
        first = self.begin(target)
        second = next(self.hedges(), None) if self.draw(st.booleans()) else None
        if second is None:
            self.end(first)
            return
        self.beside = f"{second['provider']}/{second['model']}"
        ended, other = (first, second) if self.draw(st.booleans()) else (second, first)
        if self.end(ended, ends_all=ended is first):
            other["error"] = {"code": "hedged"}
            self.overtaken = target if other is first else None
        else:
            self.end(other, ends_all=other is first)

    def hedges(self) -> Iterator[dict[str, Any]]:
        for target in filter(self.may_call, self.order):
            if self.draw(st.booleans()):
                yield self.begin(target)
            else:
                self.kept_back.add(target)

    def end(self, made: dict[str, Any], *, ends_all: bool = True) -> bool:
        """True where the request is over."""
        code = self.draw(st.sampled_from(["ok", "ok", "cut", "gone", "timeout", "unsupported", "bad_request"]))
        if code in {"ok", "cut", "gone"}:
            self.served = f"{made['provider']}/{made['model']}"
            self.status = {"ok": "ok", "cut": "stream_cut", "gone": "client_gone"}[code]
            made["success"] = code == "ok"
            if code == "cut":
                made["error"] = {"code": "stream_cut"}
            return True
        made["error"] = {"code": code}
        if code == "unsupported":
            self.made = [each for each in self.made if each is not made]
            self.passed_over.append(made)
        if code == "bad_request" and ends_all:
            self.status = code
        return self.status == code

    def codes(self) -> dict[str, str | None]:
        return {f"{a['provider']}/{a['model']}": a.get("error", {}).get("code") for a in self.passed_over + self.made}


REASON = "one of 2 near ties"


@given(st.data())
def test_no_clause_is_false_and_nobody_is_left_out(data: st.DataObject) -> None:
    order = data.draw(st.permutations(["a/x", "b/y", "c/z", "d/w"]))[: data.draw(st.integers(1, 4))]
    course = Course(data.draw, order, data.draw(st.integers(1, 4)))
    course.run()
    attempts = course.passed_over + course.made
    told = ending(reason=REASON, order=order, attempts=attempts, served=course.served, status=course.status)

    if course.served is None:
        assert told.startswith("nobody answered: ")
        told = told.removeprefix("nobody answered: ")
    for clause in told.split("; "):
        assert is_true(clause, course), (told, clause, course)
    for target in expected(course):
        assert target in told, (told, target, course)


def is_true(clause: str, course: Course) -> bool:
    codes, served = course.codes(), course.served
    before = called_before(course)
    clause = re.sub(r"^next in the order(: | after )", "", clause)
    target = next(iter(re.findall(r"\b[a-d]/[w-z]\b", clause)), None)
    rest = clause if target is None else clause.replace(target, "T")
    if found := re.fullmatch(r"T(?P<beside>, asked beside it,)? failed \((?P<code>\w+)\)", rest):
        return codes[str(target)] == found["code"] and (not found["beside"] or target == course.beside)
    facts = {
        REASON: served == course.order[0] and not before,
        "no target could be called in time": not codes,
        "T cannot do what is asked": codes.get(str(target)) == "unsupported",
        "it answered before T, which was late": target == course.overtaken and served == course.beside,
        "T was asked beside it and not needed": target == course.beside and codes.get(str(target)) == "hedged",
        "T was asked beside and not waited for": target == course.beside and codes.get(str(target)) == "hedged",
        f"T was not called, as {KEPT_BACK}": target in course.kept_back and target not in codes,
        f"T was not called before it, as {KEPT_BACK}": target in course.kept_back and target == course.beside,
        f"its turn came late, as {KEPT_BACK}": served in course.kept_back and bool(before),
        f"the answer broke off ({course.status})": course.status == "stream_cut",
        "the client left before its end": course.status == "client_gone",
    }
    return facts[rest]


def called_before(course: Course) -> list[str]:
    called = [f"{each['provider']}/{each['model']}" for each in course.made]
    return called[: called.index(course.served)] if course.served else called


def expected(course: Course) -> set[str]:
    """Whom the sentence must name: all ahead of the one that served, and all that were called beside or before it."""
    codes = course.codes()
    named = {target for target, code in codes.items() if code not in (None, "unsupported")} - {course.served}
    if course.served is None:
        return {*named, *codes}
    return {*named, *course.order[: course.order.index(course.served)]}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([None], False),
        (["overloaded", None], True),
        (["overloaded"], False),  # nobody else was called
        (["overloaded", "bad_key"], True),
        (["unsupported", None], False),  # passed over, not called
        (["hedged", None], False),  # it was late, and did not fail
        ([None, "overloaded"], True),  # asked beside it
    ],
)
def test_a_request_fell_over_where_one_failed_and_another_was_called(codes: list[str | None], expected: bool) -> None:
    attempts = [{"provider": "p", "model": "m", **({"error": {"code": code}} if code else {})} for code in codes]

    assert fell_over(attempts) is expected
