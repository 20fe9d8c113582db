"""What a provider says of a failure may quote the request: the caller hears it, logs and tables keep the rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.domain.catalog import Target
from app.errors import AllAttemptsFailed, BadRequest, ConnectionLost, ProviderError, ServerError, Timeout
from app.gateway.calls import AttemptResult, attempt_json
from app.providers.wire import lenient, problem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = "tell me about my illness"


def told(kind: type[ProviderError], status: int, **error: str) -> ProviderError:
    found = problem.read(json.dumps({"error": {"message": f"you said: {ASKED}", **error}}).encode())
    return problem.raised(kind, status, found, {}, NOW)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (told(BadRequest, 400), "The provider refuses the request (HTTP 400)"),
        (told(ServerError, 503, code="engine_overloaded"), "The provider failed (HTTP 503, engine_overloaded)"),
        (told(ServerError, 500, code="RESOURCE_EXHAUSTED"), "The provider failed (HTTP 500, RESOURCE_EXHAUSTED)"),
        (told(BadRequest, 400, code=ASKED), "The provider refuses the request (HTTP 400)"),
        (told(BadRequest, 400, code="illness"), "The provider refuses the request (HTTP 400)"),
        (told(BadRequest, 400, code="a_" * 40 + "b"), "The provider refuses the request (HTTP 400)"),
        # what we say ourselves is kept as it is
        (Timeout("no answer within 30 s"), "no answer within 30 s"),
        (ConnectionLost("connection refused"), "connection refused"),
        (problem.raised(ServerError, 500, problem.read(b""), {}, NOW), "the provider answered HTTP 500"),
    ],
)
def test_what_a_provider_says_is_for_the_caller_alone(error: ProviderError, kept: str) -> None:
    result = AttemptResult(Target("p", "m"), success=False, latency_ms=1.0, error=error)

    assert error.kept == kept
    assert attempt_json(result, kept=True)["error"] == {"code": error.code, "message": kept}
    assert attempt_json(result)["error"]["message"] == error.message
    assert AllAttemptsFailed(f"all failed: {error}", causes=(error,)).kept == (
        f"every provider on the route failed: {error.code}: {kept}"
    )


@pytest.mark.parametrize("status", [{}, {"code": 400}, {"status": "INVALID_ARGUMENT"}])
def test_nor_is_an_error_inside_an_answer_kept(status: dict[str, object]) -> None:
    data = json.dumps({"error": {"message": f"you said: {ASKED}", **status}}).encode()
    error = lenient.error_inside(data, lambda status, found: problem.by_status(status, found))

    assert ASKED in error.message
    assert ASKED not in error.kept
