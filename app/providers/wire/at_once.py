"""A whole answer for who wants a stream."""

from __future__ import annotations

from collections.abc import Iterator

from app.providers.base import Delta
from app.providers.wire.draft import Draft


def all_of(draft: Draft) -> Iterator[Delta]:
    """A whole answer as if it had been streamed."""
    text, reasoning, refusal = "".join(draft.text), "".join(draft.reasoning), "".join(draft.refusal)
    said = Delta(text=text, reasoning=reasoning, refusal=refusal, extra=draft.extra or None)
    yield said._replace(logprobs=draft.logprobs or None)
    for place, tool in enumerate(draft.calls()):
        begun = Delta(tool_index=place, tool_id=tool.id, tool_name=tool.name, tool_extra=tool.extra)
        yield begun._replace(tool_arguments=tool.arguments)
