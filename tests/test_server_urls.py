"""One parser of DATABASE_URL and REDIS_URL; what it passes, every library reads alike."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from psycopg2.extensions import parse_dsn
from redis.connection import parse_url
from sqlalchemy import make_url

from app import settings
from app.broker import make_celery
from app.errors import ConfigError
from app.server_urls import database_url, redis_address

PASSWORDS = ["p%40w", "p%2Fw", "p%3Aw", "p%23w", "p%3Fw", "p%5Bw%5D", "p%25w", "plain", "p:w", "p!$&'()*+,;=~w"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_every_library_reads_the_same_password_of_the_database(password: str) -> None:
    url = database_url(f"postgresql://u:{password}@h:5433/db?sslmode=require")
    read, dsn = make_url(url), parse_dsn(url.replace("+psycopg2", ""))

    assert (read.username, read.password, read.host, read.port, read.database) == (
        *(dsn["user"], dsn["password"], dsn["host"], int(dsn["port"]), dsn["dbname"]),
    )


def _kombu(url: str) -> dict[str, Any]:
    info: dict[str, Any] = make_celery(url, []).connection().info()
    return info


@pytest.mark.parametrize("password", PASSWORDS)
def test_every_library_reads_the_same_password_of_redis(password: str) -> None:
    url = redis_address(f"redis://u:{password}@h:6380/2").url()
    ours, celerys = parse_url(url), _kombu(url)

    assert (ours["username"], ours["password"], ours["host"], ours["port"]) == (
        *(celerys["userid"], celerys["password"], celerys["hostname"], celerys["port"]),
    )
    assert ours["db"] == int(celerys["virtual_host"]) == 2


@pytest.mark.parametrize("given", ["redis://h", "redis://h/", "redis://h/0", "redis://h?db=0", "redis://h/0?db=0"])
def test_a_database_may_stand_in_either_place(given: str) -> None:
    assert redis_address(given).url() == "redis://h/0"


WRONG = [
    ("DATABASE_URL", "postgresql://u:p]w@h/db", "%5D"),
    ("DATABASE_URL", "postgresql://u:p[w@h/db", "%5B"),
    ("DATABASE_URL", "postgresql://u:p#w@h/db", "%23"),
    ("DATABASE_URL", "postgresql://u:p@ss@h/db", "%40"),
    ("DATABASE_URL", "postgresql://u:p/w@h/db", "%2F"),
    ("DATABASE_URL", "postgresql://u:p?w@h/db", "%3F"),
    ("DATABASE_URL", "postgresql://u:1/2@h/db", "%2F"),
    ("DATABASE_URL", "postgresql://u:p%w@h/db", "%25"),
    ("DATABASE_URL", "postgresql://u:p w@h/db", "white space"),
    ("DATABASE_URL", "postgresql://u:p@h:port/db", "percent-encode"),
    ("DATABASE_URL", "postgresql://u:p@h/db?schema=public", "'schema'"),
    ("DATABASE_URL", "postgresql://u:p@h/db?sslmode", "NAME=VALUE"),
    ("DATABASE_URL", "u:p@h/db", "postgresql://"),
    ("REDIS_URL", "redis://:p#w@h:6379/0", "%23"),
    ("REDIS_URL", "redis://:p]w@h:6379/0", "%5D"),
    ("REDIS_URL", "redis://:p/w@h:6379/0", "%2F"),
    ("REDIS_URL", "redis://:p@w@h:6379/0", "%40"),
    ("REDIS_URL", "redis://h:6379/tooloo", "number"),
    ("REDIS_URL", "redis://h:6379/1?db=2", "two databases"),
    ("REDIS_URL", "redis://h:6379/1?timeout=2", "'timeout'"),
    ("REDIS_URL", "redis://h/1?ssl_cert_reqs=none", "'ssl_cert_reqs'"),
    ("REDIS_URL", "rediss://h/1?ssl_cert_reqs=maybe", "required, optional or none"),
    ("REDIS_URL", "unix://", "a socket"),
    ("REDIS_URL", "localhost:6379", "redis://"),
    ("TOOLOO_URL", "http://me:pw@h", "user and password"),
    ("TOOLOO_URL", "http://h/?x=1", "behind its path"),
    ("TOOLOO_LAB_URL", "http://", "no host"),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG)
def test_what_libraries_would_read_differently_is_refused_in_one_line(name: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=name) as refusal:
        settings.load({name: value}, dotenv=None)

    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "@h" not in str(refusal.value)


@pytest.mark.parametrize(
    ("said", "meant", "constant"),
    [
        ("", "required", ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=required", "required", ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=CERT_REQUIRED", "required", ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=CERT_NONE", "none", ssl.CERT_NONE),
        ("?ssl_cert_reqs=none", "none", ssl.CERT_NONE),
    ],
)
def test_certificates_are_checked_by_both_halves_unless_the_url_says_no(
    said: str, meant: str, constant: ssl.VerifyMode
) -> None:
    url = redis_address(f"rediss://:p@h:6379/0{said}").url()
    celery = make_celery(url, [])

    assert parse_url(url)["ssl_cert_reqs"] == meant
    assert celery.conf.broker_use_ssl["ssl_cert_reqs"] == constant  # what Flower's broker page goes by
    assert celery.connection().ssl["ssl_cert_reqs"] == constant


def test_a_socket_keeps_its_password_for_the_broker() -> None:
    found = redis_address("unix://:pw@/run/redis.sock?db=2")

    assert found.url() == "unix://:pw@/run/redis.sock?db=2"
    assert found.broker() == "redis+socket://:pw@/run/redis.sock?virtual_host=2"
