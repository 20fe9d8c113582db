"""The only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app import environment as env
from app import key_strength, server_urls, trace_settings
from app.errors import ConfigError
from app.server_urls import origin
from app.trace_settings import TraceSettings

#: every variable of our own; a TOOLOO_ name that is not here is a typing error, and said to be one
KNOWN = {
    "TOOLOO_CONFIG_DIR": "folder of providers.toml, prompts.toml, policy.toml and runtime.json",
    "TOOLOO_SNAPSHOT_FILE": "the copy of the runtime config, where it is not runtime.json in that folder",
    "TOOLOO_DATA_DIR": "folder of the embedded servers' data",
    "TOOLOO_HOST": "address the API listens on",
    "TOOLOO_PORT": "port of the API",
    "TOOLOO_URL": "base URL of the API that the commands call, if not the one on this machine",
    "TOOLOO_FLOWER_PORT": "port of Flower",
    "TOOLOO_LAB_HOST": "address the lab listens on",
    "TOOLOO_LAB_PORT": "port of the lab",
    "TOOLOO_LAB_URL": "base URL of a lab: providers without a key are simulated by it",
    "TOOLOO_LAB_TRACE": "tooloo-trace/1 file that the lab plays instead of its profiles",
    "TOOLOO_LAB_SPEED": "how many times faster than recorded the lab plays a trace",
    "TOOLOO_LAB_RECORD": "file to which the lab appends the body of every call it gets",
    "TOOLOO_LAB_SEED": "whole number: the lab draws the same latencies and failures each time",
    "TOOLOO_LOG_FORMAT": "json or text",
    "TOOLOO_LOG_LEVEL": "debug, info, warning or error",
    "TOOLOO_ADMIN_KEY": "key that writes need, required beyond loopback",
    "TOOLOO_API_KEY": "key that chat needs, required beyond loopback",
    "TOOLOO_API_KEY_LIMITS": "limits of it, as JSON: ratePerMinute, tokensPerMinute, inFlight, budget, models",
    "TOOLOO_TRUSTED_PROXIES": "number of reverse proxies in front, whose X-Forwarded-Proto and -Prefix count",
    "TOOLOO_PATH_PREFIX": "path under which a reverse proxy serves all this, such as /tooloo",
    "TOOLOO_ALLOWED_HOSTS": "names, with commas between them, under which a reverse proxy may call the API",
    "TOOLOO_FLOWER_AUTH": "user:password of Flower, required beyond loopback",
    "TOOLOO_FLOWER_HOST": "address Flower listens on",
    "TOOLOO_API_PROCESSES": "number of API processes",
    "TOOLOO_WORKER_PROCESSES": "number of probe worker processes of `tooloo up`",
    "TOOLOO_PROCESSES_FILE": "file in which `tooloo up` tells the API which of its processes are missing",
    "TOOLOO_MAX_BODY_MB": "megabytes of the largest request body",
    "TOOLOO_ALERT_URL": "where a message goes for each thing that needs a person, when it begins and when it ends",
    "TOOLOO_ALERT_SECRET": "what these messages are signed with, required with TOOLOO_ALERT_URL",
    trace_settings.TELL: "yes: providers get a traceparent, with which their spans join ours",
    "TOOLOO_ALIVE_FILE": "file that a worker or beat touches while it makes progress, for a health check to look at",
}

#: threads of an API process: more than policy.toml lets requests be in flight, so that health finds one
API_THREADS = 800

LOOPBACK = {"127.0.0.1", "localhost", "::1"}

#: each may stand in a file instead, which NAME_FILE names; the keys of providers too, whose names are not known here
SECRETS = (
    *("TOOLOO_ADMIN_KEY", "TOOLOO_API_KEY", "TOOLOO_FLOWER_AUTH", "TOOLOO_ALERT_URL", "TOOLOO_ALERT_SECRET"),
    *(server_urls.DATABASE, server_urls.REDIS, *trace_settings.SECRETS),
)
_KNOWN_FILES = {name + env.FILE for name in SECRETS}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked. Secrets do not show in repr."""

    config_dir: Path
    data_dir: Path
    snapshot_file: Path
    database_url: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    host: str
    port: int
    url: str | None
    flower_host: str
    flower_port: int
    lab_host: str
    lab_port: int
    lab_url: str | None
    lab_trace: Path | None
    lab_speed: float
    lab_record: Path | None
    lab_seed: int | None
    log_format: str
    log_level: str
    admin_key: str | None = field(repr=False)
    api_key: str | None = field(repr=False)
    #: as app.access.limits_document reads them
    api_key_limits: str | None
    #: in front, one behind the other; their X-Forwarded-Proto and X-Forwarded-Prefix count
    trusted_proxies: int
    #: in lower case, without ports; none: any name will do for who shows a key, loopback's for who does not
    allowed_hosts: frozenset[str]
    #: "" or /one/or/more/steps
    path_prefix: str
    flower_auth: str | None = field(repr=False)
    #: an incoming webhook's URL is often a secret itself
    alert_url: str | None = field(repr=False)
    alert_secret: str | None = field(repr=False)
    #: None: off
    traces: TraceSettings | None
    api_processes: int
    worker_processes: int
    alive_file: Path | None
    processes_file: Path | None
    #: bytes
    max_body: int
    #: the whole environment, for the keys that providers.toml names
    environment: Mapping[str, str] = field(repr=False)

    @property
    def api_url(self) -> str:
        """Where the API of this machine answers, that of the commands if no other is named."""
        return origin(self.host, self.port)

    @property
    def flower_url(self) -> str:
        return origin(self.flower_host, self.flower_port)

    @property
    def own_lab_url(self) -> str:
        return origin(self.lab_host, self.lab_port)

    @property
    def loopback(self) -> bool:
        return self.host in LOOPBACK

    @property
    def outcomes_folder(self) -> Path:
        """Where outcomes wait that Redis did not take: beside the snapshot where that has a place of its own."""
        apart = self.snapshot_file.parent != self.config_dir
        return (self.snapshot_file.parent if apart else self.data_dir) / "outcomes"

    def check_exposure(self) -> None:
        """Beyond loopback, writes need an admin key and chat an API key, and nowhere one that can be guessed.

        Raises ConfigError naming what is missing, or weak.
        """
        keys = {"TOOLOO_ADMIN_KEY": self.admin_key, "TOOLOO_API_KEY": self.api_key}
        for name, value in keys.items():
            if not value and not self.loopback:
                raise ConfigError(f"listening on {self.host} needs {name}: set it, or listen on 127.0.0.1", field=name)
        key_strength.check(keys)

    def require_database_url(self) -> str:
        if not self.database_url:
            raise ConfigError("DATABASE_URL is not set; `make up` sets it, or name a PostgreSQL", field="DATABASE_URL")
        return self.database_url

    def require_redis_url(self) -> str:
        if not self.redis_url:
            raise ConfigError("REDIS_URL is not set; `make up` sets it, or name a Redis", field="REDIS_URL")
        return self.redis_url

    def provider_key(self, name: str) -> str | None:
        """The API key in variable `name`, or None; raises ConfigError for a value that cannot be a key."""
        return env.token(self.environment, name)


def load(environment: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")) -> Settings:
    """Settings from the environment, over those in `.env`; raises ConfigError naming the key."""
    merged = env.gather(os.environ if environment is None else environment, dotenv, SECRETS)
    for name in merged:
        if name.startswith("TOOLOO_") and name not in KNOWN and name not in _KNOWN_FILES:
            raise ConfigError(f"{name} is not a setting; known are: {', '.join(KNOWN)}", field=name)
    config_dir = Path(_text(merged, "TOOLOO_CONFIG_DIR", "config")).resolve()
    return Settings(
        config_dir=config_dir,
        data_dir=Path(_text(merged, "TOOLOO_DATA_DIR", ".tooloo")).resolve(),
        snapshot_file=_path(merged, "TOOLOO_SNAPSHOT_FILE") or config_dir / "runtime.json",
        database_url=_read(merged, server_urls.DATABASE, server_urls.database_url),
        redis_url=_read(merged, server_urls.REDIS, lambda text: server_urls.redis_address(text).url()),
        host=_text(merged, "TOOLOO_HOST", "127.0.0.1"),
        port=_port(merged, "TOOLOO_PORT", 4000),
        url=_address(merged, "TOOLOO_URL"),
        flower_host=_text(merged, "TOOLOO_FLOWER_HOST", "127.0.0.1"),
        flower_port=_port(merged, "TOOLOO_FLOWER_PORT", 5555),
        lab_host=_text(merged, "TOOLOO_LAB_HOST", "127.0.0.1"),
        lab_port=_port(merged, "TOOLOO_LAB_PORT", 4010),
        lab_url=_address(merged, "TOOLOO_LAB_URL"),
        lab_trace=_path(merged, "TOOLOO_LAB_TRACE"),
        lab_speed=_number(merged, "TOOLOO_LAB_SPEED", 1.0, low=0.01, high=10_000),
        lab_record=_path(merged, "TOOLOO_LAB_RECORD"),
        lab_seed=_seed(merged, "TOOLOO_LAB_SEED"),
        log_format=_choice(merged, "TOOLOO_LOG_FORMAT", ("json", "text"), "json"),
        log_level=_choice(merged, "TOOLOO_LOG_LEVEL", ("debug", "info", "warning", "error"), "info"),
        admin_key=env.token(merged, "TOOLOO_ADMIN_KEY"),
        api_key=env.token(merged, "TOOLOO_API_KEY"),
        api_key_limits=merged.get("TOOLOO_API_KEY_LIMITS") or None,
        trusted_proxies=int(_number(merged, "TOOLOO_TRUSTED_PROXIES", 0, low=0, high=10)),
        allowed_hosts=_hosts(merged, "TOOLOO_ALLOWED_HOSTS"),
        path_prefix=_prefix(merged, "TOOLOO_PATH_PREFIX"),
        flower_auth=_flower_auth(merged),
        alert_url=_alert_url(merged),
        alert_secret=env.secret(merged, "TOOLOO_ALERT_SECRET"),
        traces=trace_settings.read(merged),
        api_processes=int(_number(merged, "TOOLOO_API_PROCESSES", 2, low=1, high=64)),
        worker_processes=int(_number(merged, "TOOLOO_WORKER_PROCESSES", 2, low=1, high=64)),
        alive_file=_path(merged, "TOOLOO_ALIVE_FILE"),
        processes_file=_path(merged, "TOOLOO_PROCESSES_FILE"),
        max_body=int(_number(merged, "TOOLOO_MAX_BODY_MB", 32, low=1, high=1024) * 1024 * 1024),
        environment=merged,
    )


def _text(values: Mapping[str, str], name: str, default: str) -> str:
    return values.get(name, "").strip() or default


def _path(values: Mapping[str, str], name: str) -> Path | None:
    value = values.get(name, "").strip()
    return Path(value).resolve() if value else None


def _read(values: Mapping[str, str], name: str, reads: Callable[[str], str]) -> str | None:
    value = env.secret(values, name)
    return None if value is None else reads(value)


def _address(values: Mapping[str, str], name: str) -> str | None:
    value = values.get(name, "").strip()
    return server_urls.address(name, value) if value else None


def _alert_url(values: Mapping[str, str]) -> str | None:
    url, secret = env.secret(values, "TOOLOO_ALERT_URL"), env.secret(values, "TOOLOO_ALERT_SECRET")
    if bool(url) != bool(secret):
        missing = "TOOLOO_ALERT_SECRET" if url else "TOOLOO_ALERT_URL"
        raise ConfigError(f"{missing} is not set: alerts need both, TOOLOO_ALERT_URL and its secret", field=missing)
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigError("TOOLOO_ALERT_URL must begin with http:// or https://", field="TOOLOO_ALERT_URL")
    return url


def _flower_auth(values: Mapping[str, str]) -> str | None:
    """Flower splits it at commas into several, each of which lets in; a browser sends nothing without a colon."""
    name = "TOOLOO_FLOWER_AUTH"
    text = env.secret(values, name)
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not (user.strip() and colon and password.strip()):
        raise ConfigError(f"{name} must be USER:PASSWORD", field=name)
    if "," in text or not text.isprintable() or not text.isascii():
        raise ConfigError(f"{name} may hold neither a comma nor what is not ASCII: Flower would split it", field=name)
    return text


def _number(values: Mapping[str, str], name: str, default: float, *, low: float, high: float) -> float:
    text = values.get(name, "").strip()
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number: got {text!r}", field=name) from None
    if not low <= number <= high:
        raise ConfigError(f"{name} must be between {low:g} and {high:g}: got {text}", field=name)
    return number


def _port(values: Mapping[str, str], name: str, default: int) -> int:
    number = _number(values, name, default, low=1, high=65_535)
    if number != int(number):
        raise ConfigError(f"{name} must be a port number: got {values[name]!r}", field=name)
    return int(number)


def _prefix(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "").strip().rstrip("/")
    if text and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        raise ConfigError(f"{name} must be a path such as /tooloo: got {values[name]!r}", field=name)
    return text


def _hosts(values: Mapping[str, str], name: str) -> frozenset[str]:
    found = frozenset(each.strip().lower() for each in values.get(name, "").split(",") if each.strip())
    for each in found:
        if not re.fullmatch(r"[a-z0-9_.-]+|[0-9a-f:]*:[0-9a-f:.]*", each) or re.fullmatch(r"[^:]+:\d+", each):
            raise ConfigError(f"{name} must be names such as gw.example.com, without port: got {each!r}", field=name)
    return found


def _seed(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name)
    try:
        return int(text) if text else None
    except ValueError:
        raise ConfigError(f"{name} must be a whole number: got {text!r}", field=name) from None


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = (values.get(name, "").strip() or default).lower()
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}: got {value!r}", field=name)
    return value
