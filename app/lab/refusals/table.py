"""All rules in one table, and the first one a request offends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice

from app.lab.faults import Mistake, Refused
from app.lab.refusals import (
    anthropic_blocks,
    anthropic_settings,
    anthropic_turns,
    chat_fields,
    chat_turns,
    chat_vendors,
    gemini_settings,
    gemini_turns,
    openai_models,
    schemas,
)
from app.lab.refusals.rule import Body, Kind, Rule

_TABLES = (
    chat_turns,
    chat_fields,
    openai_models,
    chat_vendors,
    anthropic_turns,
    anthropic_blocks,
    anthropic_settings,
    gemini_turns,
    gemini_settings,
    schemas,
)
RULES: Mapping[str, Rule] = {rule.id: rule for rule in chain.from_iterable(table.RULES for table in _TABLES)}
#: in a profile: every rule
ALL = "*"


def is_on(rule: Rule, switched: Mapping[str, bool]) -> bool:
    """`switched`: by id, or all of them; who is not named is as the rule says."""
    return switched.get(rule.id, switched.get(ALL, rule.by_default))


def refuse(kind: Kind, model: str, body: Body, switched: Mapping[str, bool]) -> None:
    """Raises Refused with the first thing that this server takes offence at."""
    for refused in offences(kind, model, body, switched):
        raise refused


def offences(kind: Kind, model: str, body: Body, switched: Mapping[str, bool]) -> Iterator[Refused]:
    """All of them, one for each rule."""
    seen = {"model": model, **body}  # Gemini says in the URL what others say in the body
    for rule in _concerned(kind, model):
        if is_on(rule, switched):
            for offence in islice(rule.check(seen), 1):
                yield Refused(Mistake.AGAINST_RULE, offence.says, field=offence.field or None, rule=rule)


@lru_cache(maxsize=256)
def _concerned(kind: Kind, model: str) -> tuple[Rule, ...]:
    """Kept, because the lab has to be on time."""
    return tuple(rule for rule in RULES.values() if rule.concerns(kind, model))
