"""What a running lab holds: its simulated providers, what they are like at the moment, and what they have seen."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.catalog import Prompt, Provider
from app.errors import Conflict, NotFound
from app.lab import course, profiles
from app.lab.answering import AnswerFunction
from app.lab.course import Course
from app.lab.journal import Journal
from app.lab.playback import Playback
from app.lab.profiles import Profile
from app.lab.prompt_cache import NOTHING, Cached, PromptCache
from app.lab.quota import Quota
from app.lab.refusals import table
from app.lab.refusals.kinds import kind_of
from app.lab.refusals.rule import Body, Kind
from app.lab.wire.base import Wire
from app.lab.wire.formats import wire_of


@dataclass(frozen=True, slots=True)
class Service:
    """One simulated provider.

    Generators of its own, so that with a seed its n-th call goes the same way whatever the others do and it is asked.
    """

    provider: Provider
    kind: Kind
    wire: Wire
    #: how a call goes: its latency, its failure
    rng: random.Random
    #: what is answered
    answer_rng: random.Random
    cache: PromptCache
    quota: Quota


class Lab:
    """With a `playback` the trace says how calls go, and there are no profiles."""

    def __init__(
        self,
        providers: Sequence[Provider],
        prompts: Sequence[Prompt],
        answer: AnswerFunction,
        *,
        profile: str,
        playback: Playback | None,
        seed: int | None,
    ) -> None:
        self.services = {
            provider.name: Service(
                provider,
                kind := kind_of(provider),
                wire_of(kind),
                rng=_generator(seed, provider.name),
                answer_rng=_generator(seed, f"{provider.name}/answers"),
                cache=PromptCache(kind),
                quota=Quota(kind),
            )
            for provider in providers
        }
        self.answer = answer
        self.playback = playback
        self.journal = Journal(self.services)
        self.prompt_ids = tuple(prompt.id for prompt in prompts)
        self._by_text = {prompt.text.strip(): number for number, prompt in enumerate(prompts)}
        self.profile_name = profile
        self.profiles = profiles.named(profile, tuple(self.services))

    def course(self, service: Service, prompt: str, conversation: str, now_s: float) -> tuple[Course, str | None]:
        """How the next call of `service` goes, and which of the standard prompts it is, if any."""
        index = self._by_text.get(prompt.strip())
        prompt_id = None if index is None else self.prompt_ids[index]
        if self.playback is not None:
            sample = self.playback.sample(service.provider.name, index, conversation, now_s)
            return course.recorded(sample, self.playback.speed), prompt_id
        return course.drawn(self.profiles[service.provider.name], prompt_id, service.rng), prompt_id

    def hold_quota(self, service: Service, tokens: int, now_s: float) -> None:
        """Raises Refused where its quota is used up. A trace says which calls fail."""
        if self.playback is None:
            service.quota.take(self.profiles[service.provider.name], tokens, now_s)

    def cached(self, service: Service, model: str, body: Body, prompt_tokens: int, now_s: float) -> Cached:
        """What the provider has of the prompt in its cache. A trace says how long calls take, whatever is cached."""
        return service.cache.take(model, body, prompt_tokens, now_s) if self.playback is None else NOTHING

    def hold_rules(self, service: Service, model: str, body: Body) -> None:
        """Raises Refused where this server takes offence at the request."""
        table.refuse(service.kind, model, body, self._switched(service))

    def rules(self, service: Service) -> dict[str, Any]:
        """Which kind of server it is, and the rules that hold there."""
        concerned = [rule for rule in table.RULES.values() if service.kind in rule.kinds]
        switched = self._switched(service)
        return {"kind": service.kind, "on": [rule.id for rule in concerned if table.is_on(rule, switched)]}

    def _switched(self, service: Service) -> Mapping[str, bool]:
        """A trace has no profile: every rule is as it comes."""
        return self.profiles[service.provider.name].refusals if self.playback is None else {}

    def change(self, provider: str, changes: Mapping[str, Any]) -> Profile:
        """Holds from the next request on; all changes or none."""
        self._refuse_while_playing()
        if provider not in self.profiles:
            raise NotFound(f"the lab has no provider {provider!r}; it has: {', '.join(self.profiles)}")
        self.profiles[provider] = profiles.changed(self.profiles[provider], changes, self.prompt_ids)
        return self.profiles[provider]

    def switch(self, profile: str) -> None:
        """To the named set, undoing every change."""
        self._refuse_while_playing()
        self.profiles = profiles.named(profile, tuple(self.services))
        self.profile_name = profile

    def changes(self, provider: str) -> list[str]:
        """Names of the figures that differ from the named set."""
        named = profiles.named(self.profile_name, (provider,))[provider]
        here = self.profiles[provider]
        return [name for name in profiles.FIGURES if getattr(here, name) != getattr(named, name)]

    def _refuse_while_playing(self) -> None:
        if self.playback is not None:
            raise Conflict(f"the lab plays the trace {self.playback.trace.name}, which has no profiles")


def _generator(seed: int | None, purpose: str) -> random.Random:
    return random.Random() if seed is None else random.Random(f"{seed}/{purpose}")
