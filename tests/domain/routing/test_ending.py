from __future__ import annotations

from typing import Any

import pytest

from app.domain.routing.ending import ending

ORDER = ["a/x", "b/y", "c/z"]


def attempt(target: str, code: str | None = None, *, success: bool = False) -> dict[str, Any]:
    provider, model = target.split("/")
    error = {"error": {"code": code, "message": "…"}} if code else {}
    return {"provider": provider, "model": model, "success": success, **error}


SKIPPED = "next in the order: a/x was not called, as its breaker is open, or on trial elsewhere"
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
            "next in the order: a/x was not called, as its breaker is open, or on trial elsewhere",
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
        ([attempt("a/x", "timeout")], None, "all_attempts_failed", "nobody answered: a/x failed (timeout)"),
        ([], None, "timeout", "nobody answered: no target could be called in time"),
    ],
)
def test_the_sentence_is_true_for_every_end(
    attempts: list[dict[str, Any]], served: str | None, status: str, sentence: str
) -> None:
    assert ending(reason="best score", order=ORDER, attempts=attempts, served=served, status=status) == sentence
