"""The runtime config for programs of your own: an optimizer, a script, a notebook.

    from app import runtime

    with runtime.connect() as config:
        config.set_exploration_rate(0.05, by="night shift")

Reads come from memory and never wait. A write is a revision like any other: in Postgres first, then in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from app import bootstrap
from app import settings as environment
from app.cli import servers
from app.cli.place import place
from app.domain.catalog import TaskType
from app.domain.config import config_history
from app.domain.config.runtime_config import RuntimeConfig
from app.live import live_config
from app.live.live_config import Signature
from app.services import Services
from app.settings import Settings


def connect(settings: Settings | None = None) -> Runtime:
    """Join the system that DATABASE_URL and REDIS_URL name, or else the one that `tooloo up` runs here.

    Raises DependencyUnavailable where it does not answer within ten seconds.
    """
    found = settings or environment.load()
    where = place(found.data_dir)
    found = replace(
        found,
        database_url=found.database_url or servers.postgres_url(where),
        redis_url=found.redis_url or servers.redis_url(where),
    )
    services = bootstrap.build(found, threads=4)
    bootstrap.wait_for(services, patience_s=10)
    return Runtime(services)


class Runtime:
    """The live document, kept up to date by a thread until `close`.

    Every write takes `by`, the author that history shows, and raises InvalidRequest naming the field, or
    DependencyUnavailable where Postgres is away; nothing is changed then.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._subscription = bootstrap.follow(services)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._subscription.stop()
        self._services.redis.close()
        self._services.engine.dispose()

    def load(self) -> RuntimeConfig:
        """The newest document that this process knows; immutable."""
        return self._services.config.value

    def save(self, config: RuntimeConfig, by: str, reason: str = "saved") -> RuntimeConfig:
        """Write a whole document, made from one that was loaded.

        Raises PreconditionFailed where somebody else wrote in between: load again, then repeat the change.
        """
        signature = Signature(by, reason, if_match=config.version)
        return self._written(
            live_config.write(
                self._services.sessions,
                self._services.redis,
                signature,
                lambda session, current: config_history.checked(current, config),
            )
        )

    def update(self, change: Mapping[str, Any], by: str, reason: str = "updated") -> RuntimeConfig:
        """A partial update, as the API takes it: `{"providers": {"openai": {"enabled": False}}}`."""
        return self._written(
            live_config.update(self._services.sessions, self._services.redis, change, author=by, reason=reason)
        )

    def update_provider_weights(
        self, weights: Mapping[str, float], by: str, reason: str = "weights", *, provider: str | None = None
    ) -> RuntimeConfig:
        """`latency`, `cost`, `reliability`; given in part, the others keep their proportion; global or a provider's."""
        change = {"weights": dict(weights)}
        return self.update(change if provider is None else {"providers": {provider: change}}, by, reason)

    def update_model_config(
        self,
        parameters: Mapping[str, Any],
        by: str,
        reason: str = "model parameters",
        *,
        task_type: TaskType | str | None = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> RuntimeConfig:
        """`maxTokens`, `temperature`, …: the default ones, or those of a task type, a provider, or its `model`.

        None is not sent; "inherit" leaves the value to the level below.
        """
        if model is not None and provider is None:
            raise ValueError("name the provider of the model")
        if task_type is not None and provider is not None:
            raise ValueError("name a task type or a provider, not both")
        change: dict[str, Any] = {"modelConfig": dict(parameters)}
        if task_type is not None:
            change = {"taskModelConfig": {str(task_type): dict(parameters)}}
        if model is not None:
            change = {"models": {model: change}}
        return self.update(change if provider is None else {"providers": {provider: change}}, by, reason)

    def set_feature(self, name: str, on: bool, by: str, reason: str = "feature") -> RuntimeConfig:
        """`name` as in the document, such as `explorationMode`."""
        return self.update({"features": {name: on}}, by, reason)

    def set_exploration_rate(self, rate: float, by: str, reason: str = "exploration rate") -> RuntimeConfig:
        return self.update({"explorationRate": rate}, by, reason)

    def get_optimization_score(self) -> float:
        """0..1, of the last optimization; 0.5 before the first."""
        return self.load().metadata.optimization_score

    def on_change(self, listener: Callable[[RuntimeConfig], None]) -> Callable[[], None]:
        """Call `listener` with each new document, in a thread of its own; returns what ends that.

        What it raises is logged, and hurts no other listener.
        """
        return self._services.config.on_change(listener)

    def _written(self, config: RuntimeConfig) -> RuntimeConfig:
        # the next `load` here must not be older than this answer
        self._services.config.offer(config.revision, live_config.dump(config))
        return config
