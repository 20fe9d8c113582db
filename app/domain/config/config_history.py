"""Revisions compared, restored and handed in: what history, rollback, import and reset are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.domain.config import runtime_config
from app.domain.config.runtime_config import RuntimeConfig
from app.errors import InvalidRequest

#: they say which revision it is, and change with every one
_NUMBERING = {"version", "timestamp"}
#: what an export has and a handed-in document may lack: it is kept from the present one anyway
_OURS = ("version", "timestamp", "metadata")
#: stands in a snapshot file, which may be imported as it is
CHECKSUM = "checksum"


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two documents: `[{"path", "from"?, "to"?}]`, in the order of the document.

    `from` is missing where something was added, `to` where it was removed.
    """
    ours = {key: value for key, value in before.items() if key not in _NUMBERING}
    theirs = {key: value for key, value in after.items() if key not in _NUMBERING}
    return list(_differences(ours, theirs, ()))


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    for name in [*before, *(name for name in after if name not in before)]:
        here = (*path, name)
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, here)
        elif name not in before:
            yield {"path": ".".join(here), "to": new}
        elif name not in after:
            yield {"path": ".".join(here), "from": old}
        elif old != new:
            yield {"path": ".".join(here), "from": old, "to": new}


def restored(current: RuntimeConfig, past: RuntimeConfig) -> RuntimeConfig:
    """The settings of `past`; what counts on (version, metadata) and providers it did not know yet are `current`'s."""
    return past.model_copy(
        update={
            "version": current.version,
            "timestamp": current.timestamp,
            "metadata": current.metadata,
            "providers": {**current.providers, **past.providers},
        }
    )


def checked(current: RuntimeConfig, config: RuntimeConfig) -> RuntimeConfig:
    """The settings of a document that a program built: a copy of a model is not validated, so it is here."""
    refuse = {name: None for name in current.providers if name not in config.providers}
    runtime_config.refuse_unknown_providers(current, {**refuse, **config.document()["providers"]})
    return restored(current, runtime_config.parse(config.document()))


def imported(current: RuntimeConfig, document: Any) -> RuntimeConfig:
    """The settings of a whole document that a person hands in: an export, or a snapshot file.

    What it leaves out has its default. Raises InvalidRequest naming the field.
    """
    if not isinstance(document, Mapping):
        raise InvalidRequest("the document must be a JSON object, as `export` gives it", field="document")
    ours = current.document()
    whole = {**document, **{key: ours[key] for key in _OURS}}
    whole.pop(CHECKSUM, None)
    try:
        runtime_config.refuse_unknown_providers(current, whole.setdefault("providers", {}))
        return restored(current, runtime_config.parse_known(whole))
    except InvalidRequest as error:
        raise InvalidRequest(error.message, field=f"document.{error.field}") from None


def steered(before: RuntimeConfig, after: RuntimeConfig, author: str, now_ms: int) -> RuntimeConfig:
    """`after` with metadata that is true: moved where weights or exploration rate were set anew, else as before."""
    metadata = before.metadata
    if _steering(before) != _steering(after):
        metadata = metadata.model_copy(
            update={
                "optimized_by": author,
                "last_optimization_time": now_ms,
                "iteration_count": metadata.iteration_count + 1,
            }
        )
    return after.model_copy(update={"metadata": metadata})


def _steering(config: RuntimeConfig) -> tuple[object, ...]:
    return config.global_.provider_weights, config.global_.exploration_rate
