"""Entries of the stream as they are read: each field of the type, and in the range, that its column can hold.

Whatever wrote an entry (another release, a broken disk, a stranger in Redis), it becomes a row or it is dropped here,
where one can say which field is wrong; behind this there are only rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain.catalog import TaskType
from app.evidence.recorder import OUTCOME, REQUEST, TURN

log = structlog.get_logger()

Row = dict[str, Any]

#: characters of an entry: what explains a route grows with the number of targets, not with what was said
ENTRY_LIMIT = 1_000_000
#: nothing was asked before; far outside, moments also end the arithmetic of evidence that grows old
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
#: that the clock of a host may be ahead of the database's
AHEAD = timedelta(days=1)

#: ms; a call has a deadline of an hour at most, and a request a few calls
_Ms = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Usd = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
#: as an INTEGER holds it
_Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
#: as a BIGINT holds it
_Version = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _text(longest: int) -> Any:
    """PostgreSQL holds no NUL, and an index no long text: the longest four of `usage` fit into one entry."""
    return Field(max_length=longest, pattern=r"^[^\x00]*$")


_Name = Annotated[str, _text(100)]
_Id = Annotated[str, Field(min_length=1), _text(100)]
#: as long as config/providers.toml takes them
_Provider = Annotated[str, Field(min_length=1), _text(64)]
_Model = Annotated[str, Field(min_length=1), _text(200)]
_Target = Annotated[str, _text(300)]


class _Entry(BaseModel):
    """A field that a newer release added is left out: the rest of its entry counts all the same."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", use_enum_values=True)


class _Outcome(_Entry):
    """Columns of the outcomes table."""

    request_id: _Id
    attempt: Annotated[int, Field(ge=1, le=2**15 - 1)]
    at: AwareDatetime
    provider: _Provider
    model: _Model
    task_type: TaskType
    segment: _Name | None = None
    success: bool
    latency_ms: _Ms
    ttft_ms: _Ms | None = None
    connect_ms: _Ms | None = None
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    tokens_estimated: bool = False
    cost_usd: _Usd | None = None
    error_class: _Name | None = None
    counts: bool = True
    simulated: bool
    explored: bool = False
    propensity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    revision: _Version


class _Open(BaseModel):
    """Kept whole; the fields named are those that explaining a request reads."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class _Error(_Open):
    code: _Name


class _Attempt(_Open):
    provider: _Provider
    model: _Model
    error: _Error | None = None


class _Explanation(_Open):
    reason: Annotated[str, _text(10_000)]
    order: list[_Target]


class _Request(_Entry):
    """Columns of the request log; without the last two it counts in the usage alone."""

    request_id: _Id
    at: AwareDatetime
    key: _Name | None = None
    segment: _Name | None = None
    task_type: TaskType
    asked: _Target
    stream: bool
    status: _Name
    provider: _Provider | None
    model: _Model | None
    #: where nobody served it: who was called last
    failed_provider: _Provider | None = None
    failed_model: _Model | None = None
    latency_ms: _Ms
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    cost_usd: _Usd | None = None
    cached_tokens: _Count | None = None
    cache_saved_usd: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] | None = None
    simulated: bool
    revision: _Version
    attempts: list[_Attempt] | None = None
    explanation: _Explanation | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> _Request:
        if (self.attempts is None) != (self.explanation is None):
            raise ValueError("attempts and explanation belong together")
        return self


class _Turn(_Entry):
    """Columns of breaker_turns."""

    at: AwareDatetime
    provider: _Provider
    model: _Model
    state: Literal["open", "closed"]
    reason: _Name
    failures: _Count
    #: of an outage; longer than any that anybody waits for
    lasted_s: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = None


Kind = TypeVar("Kind", _Outcome, _Request, _Turn)


def outcome(entry: bytes | str, now: datetime) -> Row | None:
    """The row of the outcomes table in an entry; None for what is none: it is reported, and passed over for good."""
    found = _read(_Outcome, OUTCOME, entry, now)
    return None if found is None else found.model_dump()


def request(entry: bytes | str, now: datetime) -> Row | None:
    """The row of the request log; None as with `outcome`. One that is not to be logged has no `explanation`."""
    found = _read(_Request, REQUEST, entry, now)
    if found is None:
        return None
    row = found.model_dump(exclude={"attempts", "explanation"})
    if found.attempts is not None and found.explanation is not None:
        row["attempts"] = [each.model_dump(exclude_unset=True) for each in found.attempts]
        row["explanation"] = found.explanation.model_dump(exclude_unset=True)
    return row


def turn(entry: bytes | str, now: datetime) -> Row | None:
    """The row of breaker_turns; None as with `outcome`."""
    found = _read(_Turn, TURN, entry, now)
    return None if found is None else found.model_dump()


def _read(kind: type[Kind], name: str, entry: bytes | str, now: datetime) -> Kind | None:
    field, reason = "", f"it has more than {ENTRY_LIMIT} characters"
    if len(entry) <= ENTRY_LIMIT:
        try:
            found = kind.model_validate_json(entry)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field, reason = ".".join(map(str, first["loc"]))[:100], first["msg"]
        else:
            if EARLIEST <= found.at <= now + AHEAD:
                return found
            field, reason = "at", "it lies in another time"
    log.error("stream entry not readable, dropped", entry=name, field=field, reason=reason)
    return None
