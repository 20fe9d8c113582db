"""When a target that failed is worth one more call, and after how long."""

from __future__ import annotations

from app.domain.policy import GatewayPolicy
from app.errors import ProviderError, RateLimited, ServerError


def wait_ms(error: ProviderError, policy: GatewayPolicy, *, sound: bool, has_equal: bool) -> float | None:
    """None: never. `sound`: it answered the call before this one; `has_equal`: another target is as good.

    A rate limit that ends within `wait_ms` is waited for: the target is the best there is, as long as no other shares
    its place. A 500 of a sound target is mostly an accident of one call. Who is overloaded or silent is left alone.
    """
    if isinstance(error, RateLimited) and error.retry_after_s is not None and not has_equal:
        wait = error.retry_after_s * 1000
        return wait if wait <= policy.wait_ms else None
    if isinstance(error, ServerError) and error.status_code == 500 and sound:
        return policy.retry_ms
    return None
