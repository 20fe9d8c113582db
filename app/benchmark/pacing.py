"""Probes keep to the quotas of their targets, and the next request of one that is used up is kept for them.

A 429 in a round is no evidence, so a probe that gets one waits for its place and is sent again, within its patience.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from app.domain.catalog import Provider, Target
from app.errors import ProviderError, RateLimited
from app.live import live_config
from app.providers import rate_limits
from app.providers.base import Answer
from app.services import Services

#: s that a probe waits for a place; its lease is longer by this where there is none
PATIENCE_S = 60.0
#: s between looks
LOOK_S = 0.1


def patience(services: Services, provider: Provider) -> timedelta:
    """What probes of the provider may have to wait beside their timeout."""
    short = any(services.quotas.shortage(target) is not None for target in provider.targets)
    return timedelta(seconds=PATIENCE_S if short else 0.0)


def paced(services: Services, target: Target, call: Callable[[], Answer]) -> Answer:
    """The answer to a call that is made when the target has a place for it. Raises what it raises, and RateLimited."""
    give_up_s = time.monotonic() + PATIENCE_S
    while True:
        sent_s = _sent(services, target, give_up_s)
        try:
            answer = call()
        except RateLimited as error:
            left = rate_limits.readings(error.rate_limits, live_config.utc_now())
            services.quotas.limited(target, sent_s, error.retry_after_s, left, 0.0)
            short = services.quotas.shortage(target)
            if short is None or time.monotonic() + short.wait_s > give_up_s:
                raise
        except ProviderError as error:
            services.quotas.read(target, sent_s, rate_limits.readings(error.rate_limits, live_config.utc_now()))
            raise
        else:
            left = rate_limits.readings(answer.rate_limits, live_config.utc_now())
            services.quotas.answered(target, sent_s, left, 0.0, answer.usage.prompt, answer.usage.completion)
            return answer


def _sent(services: Services, target: Target, give_up_s: float) -> float:
    """When it is; raises RateLimited where there is no place within the patience that is left."""
    if services.quotas.shortage(target) is not None:
        with services.quotas.reserved(target, give_up_s - time.monotonic()) as missing:
            while (short := missing()) is not None:
                left_s = give_up_s - time.monotonic()
                if short.wait_s > left_s:
                    raise RateLimited(f"not sent: {short.reason}")
                time.sleep(min(LOOK_S, short.wait_s))
            return services.quotas.spend(target)
    return services.quotas.spend(target)
