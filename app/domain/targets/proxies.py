"""A forward proxy as people write it, and which places are not reached through one."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

#: of a proxy that names no port
PORT = 3128
#: what a block says that wants none, whatever the environment says
NONE = "direct"


class ProxyAddress(NamedTuple):
    host: str
    port: int
    user: str = ""
    password: str = ""


def parse(text: str) -> ProxyAddress:
    """`http://user:password@host:port`, where all but the host may be missing. Raises ValueError, which does not repeat
    the text: it may hold a password."""
    text = text.strip()
    written = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError:
        raise ValueError("it is no URL: write http://HOST:PORT") from None
    if parts.scheme.lower() != "http":
        raise ValueError(f"proxies of the kind {parts.scheme}:// are not supported, only http://HOST:PORT")
    if not parts.hostname:
        raise ValueError("it names no host: write http://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("nothing may stand behind its port: write http://HOST:PORT")
    return ProxyAddress(parts.hostname, port or PORT, unquote(parts.username or ""), unquote(parts.password or ""))


def is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost")


def is_bypassed(no_proxy: str, host: str, port: int) -> bool:
    """Does NO_PROXY name it? Its entries are, as in curl, `*`, names (with their subdomains, with or without a dot in
    front), addresses and networks, each with a port or without."""
    return any(_names(entry.strip().lower(), host.lower().rstrip("."), port) for entry in no_proxy.split(","))


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None and (network := _network(entry)) is not None:
        return address in network
    name, named_port = _apart(entry)
    if named_port is not None and named_port != port:
        return False
    if address is not None:
        return _address(name) == address
    name = name.strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _apart(entry: str) -> tuple[str, int | None]:
    """Host, and port where one is named."""
    if _address(entry) is not None:  # an IPv6 address without brackets has colons of its own
        return entry, None
    host, colon, port = entry.rpartition(":")
    if colon and port.isdecimal():
        return host.strip("[]"), int(port)
    return entry.strip("[]"), None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None
