"""Traces over OTLP: what a request, a round or a message took, and where. Off unless an endpoint is named.

We import nothing of OpenTelemetry before `begin` finds that it is wanted (redis-py imports its metrics where it is
installed); everything else has None in its place, and asks for no more. No span holds a word of a prompt or an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import ConfigError
from app.settings import Settings

if TYPE_CHECKING:
    from app.tracing.spans import Tracing


def begin(configured: Settings, role: str) -> Tracing | None:
    """Of this process: to be called behind the last fork, as it starts a thread. `role`: api or worker."""
    if configured.traces is None:
        return None
    try:
        from app.tracing import exporting
    except ImportError as error:
        raise ConfigError(
            f"traces need OpenTelemetry, which is not installed ({error}): pip install '.[otlp]', "
            "or remove OTEL_EXPORTER_OTLP_ENDPOINT",
            field="OTEL_EXPORTER_OTLP_ENDPOINT",
        ) from None
    try:
        return exporting.tracing(configured.traces, role)
    except ValueError as error:
        raise ConfigError(f"OpenTelemetry does not take its OTEL_ variables: {error}", field="OTEL_") from None
