"""DATABASE_URL and REDIS_URL, read once and strictly, and written so that every library reads the same in them.

SQLAlchemy, psycopg2, redis-py, kombu and Flower each have a parser of their own, and differ in what they forgive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from app.errors import ConfigError

DATABASE, REDIS = "DATABASE_URL", "REDIS_URL"

_DATABASE_SCHEMES = ("postgresql", "postgresql+psycopg2", "postgres")
_REDIS_SCHEMES = ("redis", "rediss", "unix")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODE = (
    "percent-encode what is no letter or digit in user and password"
    " (# is %23, % is %25, / is %2F, : is %3A, ? is %3F, @ is %40, [ is %5B, ] is %5D)"
)

#: connection parameters of libpq 18; `service` would bring in a file that nobody sees here
_OF_LIBPQ = frozenset({
    "host", "hostaddr", "port", "dbname", "user", "password", "passfile", "require_auth", "channel_binding",
    "connect_timeout", "client_encoding", "options", "application_name", "fallback_application_name", "keepalives",
    "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "gssencmode", "sslmode",
    "sslnegotiation", "sslcompression", "sslcert", "sslkey", "sslkeylogfile", "sslpassword", "sslcertmode",
    "sslrootcert", "sslcrl", "sslcrldir", "sslsni", "requirepeer", "ssl_min_protocol_version",
    "ssl_max_protocol_version", "min_protocol_version", "max_protocol_version", "krbsrvname", "gsslib",
    "gssdelegation", "target_session_attrs", "load_balance_hosts",
})  # fmt: skip
_SSL = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
#: as redis-py and as Celery spell it
_CERT_REQS = {
    **{word: word for word in ("required", "optional", "none")},
    **{f"CERT_{word.upper()}": word for word in ("required", "optional", "none")},
}


def database_url(text: str) -> str:
    """With our driver named: SQLAlchemy would take another for postgresql://, and does not know postgres:// at all."""
    parts = _split(DATABASE, text, _DATABASE_SCHEMES)
    for name, _ in _query(DATABASE, parts):
        if name not in _OF_LIBPQ:
            raise _wrong(DATABASE, f"PostgreSQL's library has no parameter {name!r}: take it out")
    return f"postgresql+psycopg2://{text.partition('://')[2]}"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """What stands in a REDIS_URL; texts are percent-encoded as they stand in it."""

    scheme: str
    user_info: str
    host: str
    #: of the socket
    path: str
    database: int
    tls: tuple[tuple[str, str], ...]

    def url(self) -> str:
        """As redis-py reads it."""
        if self.scheme == "unix":
            return f"unix://{self._before_host()}{self.path}?db={self.database}"
        query = f"?{urlencode(self.tls)}" if self.tls else ""
        return f"{self.scheme}://{self._before_host()}{self.host}/{self.database}{query}"

    def broker(self) -> str:
        """As kombu does."""
        if self.scheme == "unix":
            return f"redis+socket://{self._before_host()}{self.path}?virtual_host={self.database}"
        return self.url()

    def _before_host(self) -> str:
        return f"{self.user_info}@" if self.user_info else ""


def redis_address(text: str) -> RedisAddress:
    parts = _split(REDIS, text, _REDIS_SCHEMES)
    query = dict(_query(REDIS, parts))
    allowed = ("db", *(_SSL if parts.scheme == "rediss" else ()))
    for name in query:
        if name not in allowed:
            raise _wrong(REDIS, f"{parts.scheme}:// takes no parameter {name!r}: it may have {', '.join(allowed)}")
    user_info, _, host = parts.netloc.rpartition("@")
    user_info = user_info.replace(";", "%3B")  # kombu takes it for the end of one URL of several
    socket = parts.scheme == "unix"
    if socket and (host or not parts.path.strip("/")):
        raise _wrong(REDIS, "it must name a socket: unix:///PATH")
    in_path = "" if socket else parts.path.strip("/")
    if in_path and query.get("db", in_path) != in_path:
        raise _wrong(REDIS, f"it names two databases, {in_path} and {query['db']}: take one out")
    database = _database(query.get("db") or in_path or "0")
    return RedisAddress(
        parts.scheme, user_info, host, parts.path if socket else "", database, _tls(parts.scheme, query)
    )


def _database(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise _wrong(REDIS, f"the database behind the host must be a number: got {text!r}")
    return int(text)


def _tls(scheme: str, query: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Certificates are checked unless the URL says no: kombu would take any where nothing is said."""
    if scheme != "rediss":
        return ()
    said = query.get("ssl_cert_reqs", "required")
    if said not in _CERT_REQS:
        raise _wrong(REDIS, f"ssl_cert_reqs must be required, optional or none: got {said!r}")
    return (("ssl_cert_reqs", _CERT_REQS[said]), *((name, query[name]) for name in _SSL[1:] if name in query))


def address(name: str, text: str) -> str:
    """A http(s):// URL of another server of ours, without a slash at its end."""
    parts = _split(name, text, ("http", "https"))
    if not parts.hostname:
        raise _wrong(name, "it names no host")
    if "@" in parts.netloc:
        raise _wrong(name, "user and password do not belong into it")
    if parts.query or parts.fragment:
        raise _wrong(name, "nothing may stand behind its path")
    return text.rstrip("/")


def origin(host: str, port: int) -> str:
    """Where to ask who listens there; one that listens everywhere is asked on loopback."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # it is not bound here
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _split(name: str, text: str, schemes: tuple[str, ...]) -> SplitResult:
    scheme, sign, rest = text.partition("://")
    if not sign or scheme not in schemes:
        raise _wrong(name, f"it must begin with one of {', '.join(f'{each}://' for each in schemes)}")
    if re.search(r"\s", text) or not text.isprintable():
        raise _wrong(name, "white space stands in it")
    if _PERCENT.search(text):
        raise _wrong(name, f"a % stands alone in it: {_ENCODE}")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # it is read when asked for
    except ValueError:
        raise _wrong(name, _ENCODE) from None
    user_info = parts.netloc.rpartition("@")[0]
    if "@" in user_info or re.search(r"[\[\]]", user_info) or "#" in rest or "@" in parts.path:
        raise _wrong(name, _ENCODE)
    return parts


def _query(name: str, parts: SplitResult) -> list[tuple[str, str]]:
    try:
        found = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError:
        raise _wrong(name, f"behind ? must stand NAME=VALUE; {_ENCODE}") from None
    for key, _ in found:
        if [each for each, _ in found].count(key) > 1:
            raise _wrong(name, f"it says {key!r} twice")
    return found


def _wrong(name: str, why: str) -> ConfigError:
    """Without the URL: a password stands in it."""
    return ConfigError(f"{name}: {why}", field=name)
