from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain import keys
from app.domain.key_limits import KeyLimits
from app.domain.keys import Key, Keys, Scope, Treatment

KEY_ID, SECRET = keys.generate()
KEY = Key(KEY_ID, "app", keys.digest(SECRET), frozenset({Scope.CHAT}), "free", expires_at=2_000, limits=KeyLimits(60))
HELD = Keys({KEY_ID: KEY})


def test_a_key_is_found_by_itself_alone() -> None:
    assert HELD.find(SECRET) == KEY
    assert HELD.find(keys.generate()[1]) is None


@pytest.mark.parametrize(
    "presented",
    [
        "",
        KEY_ID,
        f"tooloo_{KEY_ID}_",
        f"tooloo_{KEY_ID}_{KEY.hash}",  # what is kept does not open anything
        SECRET[:-1],
        SECRET + "=",
        f"x{SECRET}",
        "\ud800",  # half a surrogate pair, which UTF-8 does not hold
    ],
    ids=["nothing", "id", "no secret", "hash", "cut", "longer", "prefixed", "surrogate"],  # the key is drawn anew
)
def test_what_only_looks_like_a_key_is_nobodys(presented: str) -> None:
    assert HELD.find(presented) is None


def test_a_key_survives_the_round_trip_and_does_not_show_its_hash() -> None:
    assert Key.from_json(KEY.to_json()) == KEY
    assert KEY.hash not in repr(KEY)


@pytest.mark.parametrize(("now_ms", "over"), [(1_999.9, False), (2_000, True), (9_999, True)])
def test_a_key_is_over_from_its_end_on(now_ms: float, over: bool) -> None:
    assert KEY.is_over(now_ms) is over
    assert Key.from_json({**KEY.to_json(), "expiresAt": None}).is_over(now_ms) is False


def test_a_scope_of_a_newer_release_opens_nothing() -> None:
    document = {**KEY.to_json(), "scopes": ["chat", "billing"]}

    assert Key.from_json(document).scopes == {Scope.CHAT}


@pytest.mark.parametrize(("told", "known"), [("drop", Treatment.DROP), (None, None), ("of a newer release", None)])
def test_what_a_key_says_of_unknown_fields_survives_the_round_trip(told: str | None, known: Treatment | None) -> None:
    document = KEY.to_json() | {"parameters": told}
    assert Key.from_json(document).parameters is known


def test_a_key_of_an_older_release_says_nothing_of_unknown_fields() -> None:
    document = {name: value for name, value in KEY.to_json().items() if name not in {"parameters", "expiresAt"}}
    assert Key.from_json(document) == replace(KEY, expires_at=None)
