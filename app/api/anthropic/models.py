"""GET /v1/models as Anthropic's clients read it: the names that `model` may have, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.api.openai import models
from app.domain.key_limits import KeyLimits
from app.errors import InvalidRequest
from app.providers import capabilities
from app.services import Services

#: of a model whose day is not known
_CREATED = "1970-01-01T00:00:00Z"
#: models in one page, as Anthropic has it
PAGE, LARGEST = 20, 1000


def listed(services: Services, query: Mapping[str, str], limits: KeyLimits) -> dict[str, Any]:
    """One page: behind `after_id`, or before `before_id`."""
    every = [described(services, each["id"]) for each in models.listed(services, limits)]
    limit = _limit(query.get("limit"))
    names = [each["id"] for each in every]
    if (before := query.get("before_id")) is not None:
        earlier = every[: _place(names, before, "before_id")]
        page, more = earlier[-limit:], len(earlier) > limit
    else:
        after = query.get("after_id")
        later = every if after is None else every[_place(names, after, "after_id") + 1 :]
        page, more = later[:limit], len(later) > limit
    ends = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return {"data": page, "has_more": more, "first_id": ends[0], "last_id": ends[1]}


def one(services: Services, name: str) -> dict[str, Any]:
    """Raises UnknownModel."""
    if name not in {each["id"] for each in models.listed(services)}:
        models.choose(services, name)
    return described(services, name)


def described(services: Services, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _CREATED,
        "lifecycle": "active",
    }
    chosen = models.choose(services, name)
    if chosen.model is not None:
        having = models.deployments(services, chosen)
        can = [capabilities.of(services.endpoints[each.name].provider, chosen.model) for each in having]
        # what every one of them takes
        sizes = {"max_input_tokens": [each.context for each in can], "max_tokens": [each.max_output for each in can]}
        found |= {size: min(filter(None, tokens)) for size, tokens in sizes.items() if any(tokens)}
    return found


def _limit(given: str | None) -> int:
    if given is None:
        return PAGE
    if not given.isascii() or not given.isdigit() or len(given) > 4 or not 1 <= int(given) <= LARGEST:
        raise InvalidRequest(f"limit: must be a number from 1 to {LARGEST}", field="limit")
    return int(given)


def _place(names: Sequence[str], name: str, field: str) -> int:
    if name not in names:
        raise InvalidRequest(f"{field}: there is no model {name!r} here", field=field)
    return names.index(name)
