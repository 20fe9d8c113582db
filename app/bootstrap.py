"""Builds the real things once per process, from settings. Everything else receives them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker

from app import config_files
from app.access import allowances, keys, limits_document
from app.access.allowances import Allowances
from app.access.spending import Spending
from app.benchmark import judge
from app.broker import Messages, make_celery
from app.domain.catalog import FromEnvironment, Provider, nothing_real
from app.domain.key_limits import KeyLimits
from app.domain.policy import RoundPolicy
from app.errors import ConfigError, DependencyUnavailable
from app.evidence import scorecard
from app.evidence.recorder import Recorder
from app.evidence.responses import Responses
from app.evidence.spill import Spill
from app.gateway.breakers import Breakers
from app.gateway.gateway import Gateway
from app.gateway.hedging import Hedging
from app.gateway.lessons import Lessons
from app.gateway.metrics import Metrics
from app.gateway.sessions import WAIT_S, Sessions
from app.live import live_config, snapshot_file
from app.live.published import Subscription
from app.live.quotas import SharedQuotas, declared
from app.live.snapshot_file import SnapshotFile
from app.operations import attention
from app.operations.alerts import Alerts
from app.operations.attention import Item, Known
from app.operations.health import Watch, checks
from app.operations.recovery import Recovery
from app.operations.vitals import Vitals
from app.operations.webhook import Webhook
from app.providers import outbound
from app.providers.base import Endpoint
from app.providers.canary import Canary
from app.providers.client import Client, Pool
from app.services import Services
from app.settings import Settings
from app.store import database, outcomes

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

log = structlog.get_logger()

#: by this name the key of the environment is counted
API_KEY = "TOOLOO_API_KEY"
#: between two scheduled rounds
SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S = 300, 86_400

#: key that is sent where a provider needs none, or is simulated
NO_KEY = "none"
#: header in which the lab states what a call cost, so that its prices can change while it runs
LAB_COST_HEADER = "x-lab-cost"


def endpoints(settings: Settings, providers: tuple[Provider, ...]) -> tuple[dict[str, Endpoint], bool]:
    """The providers that can be called, and whether they are simulated.

    Real ones are those with a key in the environment, and those that need none. Where there is no real one, or a trace
    is played, and a lab is named, the lab serves every provider. Else it serves those whose block says `simulated`.
    """
    held = {p.name: settings.provider_key(p.key_env) for p in providers if p.key_env}
    if settings.lab_url and (settings.lab_trace or nothing_real(providers, held)):
        return {p.name: Endpoint(_simulated(p, settings.lab_url), NO_KEY) for p in providers}, True
    usable = [p for p in providers if not p.simulated and (not p.key_env or held[p.name])]
    served = [p for p in providers if p.simulated and settings.lab_url]
    real = {
        p.name: Endpoint(p, held.get(p.name) or NO_KEY, own_headers(p, settings), outbound.way(p, settings.environment))
        for p in usable
    }
    return real | {p.name: Endpoint(_simulated(p, settings.lab_url or ""), NO_KEY) for p in served}, False


def _simulated(provider: Provider, lab_url: str) -> Provider:
    base_url = f"{lab_url.rstrip('/')}/{provider.name}"
    return replace(provider, base_url=base_url, cost_header=LAB_COST_HEADER, simulated=True)


def build(
    settings: Settings, *, threads: int = 16, publish_timeout_s: float = 5, tracing: Tracing | None = None
) -> Services:
    """Services with nothing started: no thread, no connection. `threads` sizes the pools."""
    providers = config_files.load_providers(settings.config_dir)
    prompts = config_files.load_prompts(settings.config_dir)
    policy = config_files.load_policy(settings.config_dir)
    judge.check(policy.judge.targets, providers)
    reachable, simulated = endpoints(settings, providers)
    check_interval(policy.rounds, simulated=simulated)
    providers = tuple(reachable[p.name].provider if p.name in reachable else p for p in providers)
    engine = database.create(settings.require_database_url(), pool_size=min(threads, 10))
    sessions = sessionmaker(engine, expire_on_commit=False)
    redis_url = settings.require_redis_url()
    client = Client(Pool(threads))
    connection = connect(redis_url)
    celery = make_celery(redis_url, [p.name for p in providers], socket_timeout_s=publish_timeout_s)
    return Services(
        settings=settings,
        policy=policy,
        providers=providers,
        endpoints=reachable,
        prompts=prompts,
        simulated=simulated,
        engine=engine,
        sessions=sessions,
        redis=connection,
        client=client,
        canary=Canary(client),
        messages=Messages(celery, None if tracing is None else tracing.sent),
        config=live_config.live(sessions, providers, live_config.epoch_ms()),
        scorecard=scorecard.live(sessions),
        keys=keys.live(sessions),
        quotas=SharedQuotas(connection, declared(providers), policy.breaker.retry_after_cap_s),
        tracing=tracing,
    )


def check_interval(policy: RoundPolicy, *, simulated: bool) -> None:
    """Raises ConfigError for rounds too often for a bill, or too seldom to steer by; in the lab they cost nothing."""
    shortest_s = 1 if simulated else SHORTEST_INTERVAL_S
    if not shortest_s <= policy.interval_s <= LONGEST_INTERVAL_S:
        raise ConfigError(
            f"policy.toml: rounds.interval_s: must be from {SHORTEST_INTERVAL_S} (five minutes) "
            f"to {LONGEST_INTERVAL_S} (a day), less only where every provider is simulated: got {policy.interval_s}",
            field="rounds.interval_s",
        )


#: s before who waits says so, and between that and each further word of it
FIRST_WORD_S, NEXT_WORD_S = 3.0, 30.0


def own_headers(provider: Provider, settings: Settings) -> dict[str, str]:
    """Of its block, secrets read from the environment; raises ConfigError that names the one that is missing."""
    found: dict[str, str] = {}
    for name, value in provider.headers:
        if not isinstance(value, FromEnvironment):
            found[name] = value
        elif (secret := settings.provider_key(value.env)) is not None:
            found[name] = secret
        else:
            raise ConfigError(f"providers.toml: {provider.name}.headers.{name}: set {value.env}", field=value.env)
    return found


def connect(redis_url: str, *, timeout_s: float = 3.0) -> redis.Redis:
    """A Redis client that never hangs: every operation is bounded, and fails at once rather than trying again."""
    bounds = {}
    if not redis_url.startswith("unix:"):
        bounds = {"socket_connect_timeout": min(1.0, timeout_s), "socket_keepalive": True}
    client: redis.Redis = redis.Redis.from_url(
        redis_url, socket_timeout=timeout_s, health_check_interval=10, retry=Retry(NoBackoff(), 0), **bounds
    )
    return client


def wait_for(services: Services, *, patience_s: float | None = 60.0) -> None:
    """Until Redis answers and Postgres has the schema of this code.

    Raises DependencyUnavailable after `patience_s`; None: it waits for as long as it takes, and says so.
    """
    _wait("Redis", lambda: _redis_answers(services.redis), patience_s)
    _wait("PostgreSQL with the current schema (run `tooloo migrate`)", lambda: _schema_stands(services), patience_s)


def _wait(what: str, ready: Callable[[], str | None], patience_s: float | None) -> None:
    began = time.monotonic()
    tell_after_s = FIRST_WORD_S
    while (problem := ready()) is not None:
        waited_s = time.monotonic() - began
        if patience_s is not None and waited_s > patience_s:
            raise DependencyUnavailable(f"waited {patience_s:.0f} s for {what}: {problem}")
        if waited_s > tell_after_s:
            log.warning("waiting", what=what, problem=problem, waited_s=round(waited_s))
            tell_after_s = waited_s + NEXT_WORD_S
        time.sleep(0.1)


def _redis_answers(connection: redis.Redis) -> str | None:
    try:
        connection.ping()
    except redis.RedisError as error:
        return str(error)
    return None


def _schema_stands(services: Services) -> str | None:
    try:
        return None if database.is_current(services.engine) else "the schema is not the one this release needs"
    except DBAPIError as error:
        return str(error.orig).strip().splitlines()[0]


@dataclass(frozen=True, slots=True)
class Running:
    """What `start` started; `stop` ends it, the last state written."""

    gateway: Gateway
    subscription: Subscription
    snapshot: SnapshotFile
    watch: Watch
    allowances: Allowances
    #: of TOOLOO_API_KEY
    api_key_limits: KeyLimits
    recovery: Recovery
    responses: Responses
    alerts: Alerts | None

    def stop(self) -> None:
        """What no request waits for is stopped last: the server's patience may end before a frozen Redis answers."""
        self.gateway.backups.stop()
        if self.gateway.hedging is not None:
            self.gateway.hedging.stop()
        self.gateway.breakers.stop()
        self.gateway.recorder.stop()
        self.gateway.services.quotas.stop()
        if self.alerts is not None:
            self.alerts.stop()
        self.recovery.stop()
        self.watch.stop()
        self.responses.stop()
        self.allowances.stop()
        self.subscription.stop()
        self.snapshot.stop()
        if (tracing := self.gateway.services.tracing) is not None:
            tracing.stop()


def follow(services: Services) -> Subscription:
    """Read config and scorecard once, then keep them up to date in a thread: what every worker needs."""
    services.config.refresh(services.redis)
    services.scorecard.refresh(services.redis)
    subscription = Subscription(services.redis, [services.config, services.scorecard])
    subscription.start()
    services.quotas.start()
    return subscription


def start(services: Services, *, seed: int | None = None) -> Running:
    """The gateway of an API process, with its threads. `seed` makes its choices repeatable, for tests."""
    limits = services.policy.gateway
    recorder = _recorder(services)
    breakers = Breakers(services.redis, services.policy.breaker, recorder.add)
    lessons = Lessons(services.redis, limits)
    file = services.settings.snapshot_file
    snapshot = SnapshotFile(file)
    services.config.on_change(snapshot.offer)
    recovery = Recovery(services, file)
    if not recovery.start() and (kept := snapshot_file.read(file)) is not None:
        services.config.fall_back(kept)
    subscription = Subscription(services.redis, [services.config, services.keys, services.scorecard, breakers, lessons])
    of_environment = limits_document.of_environment(services.settings.api_key_limits)
    counted = _allowances(services, of_environment)
    counted.start()
    recorder.start()
    snapshot.start()
    subscription.start()
    vitals = Vitals()
    watch = Watch(checks(services, vitals), vitals)
    watch.start()
    metrics = Metrics()
    hedging = Hedging(limits, metrics) if limits.hedge_share > 0 else None
    quick = connect(services.settings.require_redis_url(), timeout_s=WAIT_S)
    conversations = Sessions(quick, services.policy.affinity)
    services.quotas.start()
    gateway = Gateway(services, recorder, breakers, random.Random(seed), metrics, hedging, lessons, conversations)
    alerts = _alerts(services, watch, breakers, counted)
    responses = Responses(services)
    return Running(gateway, subscription, snapshot, watch, counted, of_environment, recovery, responses, alerts)


def _allowances(services: Services, of_environment: KeyLimits) -> Allowances:
    def budgets() -> dict[str, KeyLimits]:
        """Of every key that has one."""
        held = {key.id: key.limits for key in services.keys.value.by_id.values()} | {API_KEY: of_environment}
        return {key_id: limits for key_id, limits in held.items() if limits.budget is not None}

    quick = connect(services.settings.require_redis_url(), timeout_s=allowances.WAIT_S)
    return Allowances(quick, Spending(services.sessions), budgets)


def _recorder(services: Services) -> Recorder:
    def stored(keys: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
        with database.transaction(services.sessions) as session:
            return outcomes.known(session, keys)

    limits, spill = services.policy.gateway, Spill(services.settings.outcomes_folder)
    size, stream_size = limits.outcome_buffer, limits.outcome_stream
    return Recorder(services.redis, size=size, stream_size=stream_size, spill=spill, stored=stored)


def _alerts(services: Services, watch: Watch, breakers: Breakers, counted: Allowances) -> Alerts | None:
    """Started, where somebody is to be told."""
    url, secret = services.settings.alert_url, services.settings.alert_secret
    if url is None or secret is None:
        return None

    def present() -> list[Item]:
        known = Known(watch.troubles(), watch.vitals, breakers.value, counted.over())
        return attention.items(services, known, live_config.utc_now())

    alerts = Alerts(services, Webhook(url, secret), present)
    alerts.start()
    return alerts
