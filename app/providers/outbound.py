"""Which way calls to a provider take: its block's proxy or the environment's, and its certificates."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

from app.domain.catalog import FromEnvironment, Provider
from app.domain.targets import proxies
from app.environment import secret
from app.errors import ConfigError
from app.providers.http.dialing import Proxy, Way, context

#: of what is called by this scheme; the lower-case name goes first, as everywhere
VARIABLES = {"https": ("https_proxy", "HTTPS_PROXY"), "http": ("http_proxy", "HTTP_PROXY")}
EXCEPT = ("no_proxy", "NO_PROXY")


def way(provider: Provider, environment: Mapping[str, str]) -> Way:
    """Raises ConfigError by block, key or variable, for what no connection could be made with."""
    found = Way(
        proxy=_proxy(provider, environment),
        ca_bundle=provider.ca_bundle or "",
        client_cert=provider.client_cert or "",
        client_key=provider.client_key or "",
    )
    if found.ca_bundle:
        _check(provider, "ca_bundle", found.ca_bundle, Way(ca_bundle=found.ca_bundle))
    if found.client_cert:
        _check(provider, "client_cert", found.client_cert, found)
    return found


def _check(provider: Provider, key: str, path: str, way: Way) -> None:
    """Now, and not at the first call."""
    field = f"providers.toml: {provider.name}.{key}"
    try:
        context(way)
    except ssl.SSLError as error:
        fits = "PEM certificates" if key == "ca_bundle" else "a PEM certificate with its key, which has no passphrase"
        raise ConfigError(f"{field}: {path} does not hold {fits}: {error.reason or error}", field=field) from None
    except OSError as error:
        raise ConfigError(f"{field}: {path} cannot be read: {error.strerror or error}", field=field) from None


def _proxy(provider: Provider, environment: Mapping[str, str]) -> Proxy | None:
    if provider.proxy is None:
        return _of_environment(provider, environment)
    if provider.proxy == proxies.NONE:
        return None
    where = f"providers.toml: {provider.name}.proxy"
    if not isinstance(provider.proxy, FromEnvironment):
        return _read(provider.proxy, where)
    name = provider.proxy.env
    if (value := secret(environment, name)) is None:
        raise ConfigError(f"{where} names {name}, which is not set: set it, or take the line out", field=where)
    return None if value == proxies.NONE else _read(value, name)


def _of_environment(provider: Provider, environment: Mapping[str, str]) -> Proxy | None:
    """Never for this machine itself: no proxy reaches that."""
    parts = urlsplit(provider.base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    for name in VARIABLES.get(parts.scheme, ()):
        if value := environment.get(name, "").strip():
            break
    else:
        return None
    excepted = next((environment[name] for name in EXCEPT if environment.get(name)), "")
    if proxies.is_loopback(host) or proxies.is_bypassed(excepted, host, port):
        return None
    return _read(value, name)


def _read(text: str, where: str) -> Proxy:
    try:
        found = proxies.parse(text)
    except ValueError as error:
        raise ConfigError(f"{where} is no proxy: {error}", field=where) from None
    pair = f"{found.user}:{found.password}"
    basic = f"Basic {b64encode(pair.encode()).decode()}" if pair != ":" else ""
    return Proxy(found.host, found.port, basic)
