"""Revisions of the runtime config: numbered, immutable, in Postgres before anybody sees them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.config import runtime_config
from app.domain.config.runtime_config import RuntimeConfig, Weights
from app.domain.optimizer import weight_moves
from app.domain.optimizer.memory import Change
from app.errors import Conflict, InvalidRequest, NotFound
from app.store.models import Revision

#: author of what nobody asked for
OPTIMIZER = "optimizer"
#: rows that are in memory at once
PAGE = 1000
#: serialises writers, so that versions have no gaps and nobody's change is lost; any number of our own
_WRITE_LOCK = 730_150_002


def lock(session: Session) -> None:
    """Hold the right to write the next revision until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(_WRITE_LOCK)))


def latest(session: Session) -> RuntimeConfig | None:
    """The newest; raises Conflict where a newer release wrote what this one cannot read."""
    document = session.scalar(select(Revision.document).order_by(Revision.version.desc()).limit(1))
    try:
        return None if document is None else runtime_config.parse(document)
    except InvalidRequest as error:
        raise Conflict(f"the stored runtime config is not readable by this release: {error}") from error


def add(
    session: Session,
    config: RuntimeConfig,
    *,
    now_ms: int,
    author: str,
    reason: str,
    evidence: dict[str, Any] | None = None,
    round_id: str | None = None,
    version: int | None = None,
) -> RuntimeConfig:
    """Write `config` as the next revision (call `lock` first); the document as it now is, numbered and dated.

    `version` is given only to bring Postgres up to a newer copy that another store kept.
    """
    parent = session.scalar(select(func.max(Revision.version)))
    number = version or (parent or 0) + 1
    numbered = config.model_copy(update={"version": str(number), "timestamp": now_ms})
    session.add(
        Revision(
            version=number,
            parent=parent,
            document=numbered.document(),
            author=author,
            reason=reason,
            evidence=evidence or {},
            round_id=round_id,
        )
    )
    session.flush()
    return numbered


def get(session: Session, version: int) -> Revision:
    """Raises NotFound."""
    found = session.get(Revision, version)
    if found is None:
        raise NotFound(f"there is no version {version} of the runtime config", field="version")
    return found


def page(session: Session, *, before: int | None, limit: int) -> list[Revision]:
    """The newest `limit` (older than `before`), newest first."""
    older = () if before is None else (Revision.version < before,)
    return list(session.scalars(select(Revision).where(*older).order_by(Revision.version.desc()).limit(limit)))


def since(session: Session, version: int, limit: int) -> list[Revision]:
    """The first `limit` after `version`, oldest first."""
    newer = select(Revision).where(Revision.version > version).order_by(Revision.version).limit(limit)
    return list(session.scalars(newer))


def changes(session: Session) -> Iterator[Change]:
    """Every revision, oldest first; ValueError for one that says nothing we know."""
    fields = select(Revision.author, Revision.document["global"], Revision.evidence).order_by(Revision.version)
    for author, routing, evidence in session.execute(fields.execution_options(yield_per=PAGE)):
        try:
            weights = Weights.model_validate(routing["providerWeights"], by_alias=True)
            rate = float(routing["explorationRate"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"a revision without weights or exploration rate: {error!r}") from None
        verdict = evidence.get("verdict") if author == OPTIMIZER else None
        yield Change(weight_moves.of_weights(weights), rate, verdict)


def documents(session: Session, versions: Collection[int]) -> dict[int, dict[str, Any]]:
    """Documents by version, of those that exist."""
    rows = session.execute(select(Revision.version, Revision.document).where(Revision.version.in_(versions)))
    return {row.version: row.document for row in rows}
