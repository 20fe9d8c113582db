"""Where spans go, from the standard variables of OpenTelemetry; the SDK reads the same ones, and more of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.errors import ConfigError

#: one of them turns traces on; the first is a whole URL, the second gets /v1/traces behind it
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SAMPLERS = (
    *("always_on", "always_off", "traceidratio"),
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
)
SECRETS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
TELL = "TOOLOO_TRACE_PROVIDERS"


@dataclass(frozen=True, slots=True)
class TraceSettings:
    #: every OTEL_ variable; those for headers hold secrets
    variables: Mapping[str, str] = field(repr=False)
    #: providers get a traceparent, which no caller has sent
    tells_providers: bool


def read(values: Mapping[str, str]) -> TraceSettings | None:
    """None: off, as where no endpoint is named. Raises ConfigError that names the variable."""
    tells = _choice(values, TELL, ("no", "yes"), "no") == "yes"
    if not _is_on(values):
        if tells:
            raise ConfigError(f"{TELL} needs traces: set {ENDPOINTS[1]}, or remove it", field=TELL)
        return None
    for name in ENDPOINTS:
        _check_url(values, name)
    for name in PROTOCOLS:
        _choice(values, name, ("http/protobuf",), "http/protobuf")
    _choice(values, "OTEL_TRACES_SAMPLER", SAMPLERS, SAMPLERS[3])
    _check_share(values)
    return TraceSettings({name: value for name, value in values.items() if name.startswith("OTEL_") and value}, tells)


def _is_on(values: Mapping[str, str]) -> bool:
    if not any(values.get(name) for name in ENDPOINTS):
        return False
    if values.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return _choice(values, "OTEL_TRACES_EXPORTER", ("otlp", "none"), "otlp") == "otlp"


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = (values.get(name) or default).strip().lower()
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}: got {value!r}", field=name)
    return value


def _check_url(values: Mapping[str, str], name: str) -> None:
    value = values.get(name)
    if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
        raise ConfigError(f"{name} must be a URL such as http://127.0.0.1:4318: got {value!r}", field=name)


def _check_share(values: Mapping[str, str]) -> None:
    """What the SDK cannot read it takes for 1, in silence but for a line of its own log."""
    name = "OTEL_TRACES_SAMPLER_ARG"
    text = values.get(name)
    if not text or "traceidratio" not in values.get("OTEL_TRACES_SAMPLER", ""):
        return
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"{name} must be a share of the traces from 0 to 1: got {text!r}", field=name)
