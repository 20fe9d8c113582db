"""What one provider call took; carried by answers and by errors alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds from perf_counter(), all counted from the moment the request was handed to the connection."""

    #: connection set-up; 0 where a pooled connection was reused
    connect_ms: float
    #: until the first content token (of a plain answer: until the body was there)
    first_token_ms: float | None
    total_ms: float
