"""What the two main paths work with. Built once per process by app.bootstrap, received everywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis
from sqlalchemy import Engine

from app.broker import Messages
from app.domain.catalog import Prompt, Provider, Target
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.evidence.scorecard import Scorecard
from app.domain.keys import Keys
from app.domain.policy import Objective, Policy
from app.live.published import Published
from app.live.quotas import SharedQuotas
from app.providers.base import Endpoint
from app.providers.canary import Canary
from app.providers.client import Client
from app.settings import Settings
from app.store.database import Sessions

if TYPE_CHECKING:
    from app.tracing.spans import Tracing


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    policy: Policy
    #: every configured provider, in order of priority
    providers: tuple[Provider, ...]
    #: those that can be called: they have a key, need none, or are simulated
    endpoints: Mapping[str, Endpoint]
    prompts: tuple[Prompt, ...]
    #: all providers are served by the lab
    simulated: bool
    engine: Engine
    sessions: Sessions
    redis: redis.Redis
    client: Client
    canary: Canary
    messages: Messages
    config: Published[RuntimeConfig]
    scorecard: Published[Scorecard]
    keys: Published[Keys]
    quotas: SharedQuotas
    #: None: off
    tracing: Tracing | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """Everything that can be called, in order of priority."""
        return tuple(
            target for provider in self.providers if provider.name in self.endpoints for target in provider.targets
        )

    def is_simulated(self, provider: str) -> bool:
        """Are its answers the lab's?"""
        found = self.endpoints.get(provider)
        return self.simulated if found is None else found.provider.simulated

    @property
    def simulated_beside_real(self) -> list[str]:
        """Providers of the lab, where others are real."""
        return [] if self.simulated else [name for name in self.endpoints if self.is_simulated(name)]

    @property
    def objective(self) -> Objective:
        """With the references that nobody declared, as they are learned so far."""
        return self.scorecard.value.in_force(self.policy).objective

    def left_out(self, config: RuntimeConfig) -> dict[str, str]:
        """Providers that cannot be called at the moment, with the reason a person needs."""
        reasons = {}
        for provider in self.providers:
            mine = config.providers.get(provider.name)
            if provider.name not in self.endpoints:
                lab = "it is simulated, and there is no lab: set TOOLOO_LAB_URL"
                reasons[provider.name] = lab if provider.simulated else f"no key: set {provider.key_env}"
            elif mine is not None and not mine.enabled:
                reasons[provider.name] = "disabled in the runtime config"
        return reasons

    def model_name(self, target: Target) -> str:
        """How people call a target: by its provider alone where that has one model."""
        provider = next((p for p in self.providers if p.name == target.provider), None)
        return target.provider if provider is not None and len(provider.models) == 1 else str(target)
