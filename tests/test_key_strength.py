"""Keys of the environment that anybody could guess are refused by their name, before anything listens."""

from __future__ import annotations

import pytest

from app import settings
from app.errors import ConfigError

GOOD, OTHER = "0f6c2a97b1d84e35a7c9e2d1", "9b1d84e35a7c9e2d10f6c2a7"


def check(**environment: str) -> None:
    settings.load(environment, dotenv=None).check_exposure()


@pytest.mark.parametrize(
    "weak",
    [
        *("x", "secret", "admin", "12345678", "0f6c2a97b1d84e3", "aaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababab"),
        *("changeme-changeme-changeme", "your-admin-key-goes-here", "<the key of the admin>", "sk-1234567890abcdef"),
        *("my-very-secret-api-key", "replace-me-with-a-key", "correct-horse-password", "example-key-for-tooloo"),
        "a key with blanks in it",
        "schlüssel-mit-umlaut-ü",
    ],
)
@pytest.mark.parametrize("name", ["TOOLOO_ADMIN_KEY", "TOOLOO_API_KEY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - never served
def test_a_weak_key_is_refused_by_its_name(name: str, weak: str, host: str) -> None:
    keys = {"TOOLOO_ADMIN_KEY": GOOD, "TOOLOO_API_KEY": OTHER, "TOOLOO_HOST": host, name: weak}
    with pytest.raises(ConfigError, match=name) as refused:
        check(**keys)
    assert refused.value.field == name
    assert len(weak) < 10 or weak not in str(refused.value)


def test_one_key_for_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="TOOLOO_API_KEY is the same as TOOLOO_ADMIN_KEY"):
        check(TOOLOO_ADMIN_KEY=GOOD, TOOLOO_API_KEY=GOOD)


def test_good_ones_and_none_pass() -> None:
    check(TOOLOO_ADMIN_KEY=GOOD, TOOLOO_API_KEY=OTHER, TOOLOO_HOST="0.0.0.0")  # noqa: S104 - never served
    check(TOOLOO_ADMIN_KEY=GOOD)
    check(TOOLOO_API_KEY="tooloo_3f9a0c5b71de_Zm9vYmFyYmF6cXV4")
    check()
