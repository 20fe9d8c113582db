"""/api/v1/feedback: what a person thought of an answer."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response
from pydantic import Field

from app.api.current import gateway
from app.api.envelope import Body, body, ok
from app.api.names import Name
from app.store import database
from app.store import feedback as store


class FeedbackBody(Body):
    request_id: Name
    #: 0 useless … 1 perfect
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    comment: Annotated[str, Field(max_length=4000)] | None = None


feedback = Blueprint("feedback", __name__)


@feedback.post("/api/v1/feedback")
def give() -> Response:
    """Stored at once; joined into the evidence as soon as the request's outcome has come in, within seconds."""
    given: FeedbackBody = body(FeedbackBody)
    with database.transaction(gateway().services.sessions) as session:
        store.save(session, given.request_id, given.score, given.comment)
    return ok({"requestId": given.request_id, "score": given.score}, 202)
