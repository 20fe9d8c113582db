"""Headers, query and body fields of a provider's block, as they reach the provider."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.bootstrap import own_headers
from app.config_files import load_providers
from app.domain.catalog import WireFormat
from app.errors import BadKey, ConfigError
from app.providers.base import ChatRequest, Endpoint, Message
from app.providers.client import Client
from app.providers.listing import list_models
from app.settings import load
from tests.config.test_providers_file import written
from tests.providers.calls import endpoint
from tests.providers.server import Server, whole
from tests.support.upstreams import said

ASK = ChatRequest((Message("user", "Hello"),), temperature=0.5)
SECRET = "s3cret-of-the-team"


def own(server: Server) -> Endpoint:
    plain = endpoint(server.url, WireFormat.OPENAI)
    body = {"temperature": 0.1, "service_tier": "flex"}
    provider = replace(plain.provider, query=(("api-version", "1 2"),), body=body)
    return replace(plain, provider=provider, headers={"X-Team": SECRET, "Authorization": "Key mine"})


def test_they_are_in_every_request_and_the_callers_fields_go_first(client: Client, server: Server) -> None:
    server.answer = lambda _: said("yes")
    client.complete(own(server), "m", ASK, timeout_ms=5000)

    seen = server.received[-1]
    body = json.loads(seen.body)
    assert (body["temperature"], body["service_tier"]) == (0.5, "flex")
    assert seen.path.endswith("/chat/completions?api-version=1+2")
    assert (seen.headers["x-team"], seen.headers["authorization"]) == (SECRET, "Key mine")


def test_the_list_of_models_is_asked_for_with_them(client: Client, server: Server) -> None:
    server.answer = lambda _: whole(200, {"content-type": "application/json"}, b'{"data": []}')
    list_models(client.pool, own(server), timeout_ms=5000)

    assert server.received[-1].path.endswith("/models?api-version=1+2")
    assert server.received[-1].headers["x-team"] == SECRET


def test_a_secret_that_an_error_repeats_is_not_shown(client: Client, server: Server) -> None:
    error = json.dumps({"error": {"message": f"bad key {SECRET}"}}).encode()
    server.answer = lambda _: whole(401, {}, error)
    with pytest.raises(BadKey) as caught:
        client.complete(own(server), "m", ASK, timeout_ms=5000)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(own(server))


def test_a_block_names_its_secrets(tmp_path: Path) -> None:
    (provider,) = load_providers(
        written(tmp_path, "openai", 'headers = { X-Team = { env = "TEAM" }, X-Title = "a" }', "body = { a = 1 }")
    )
    known = load({"TEAM": SECRET}, dotenv=None)
    assert own_headers(provider, known) == {"X-Team": SECRET, "X-Title": "a"}
    with pytest.raises(ConfigError, match=r"some\.headers\.X-Team: set TEAM"):
        own_headers(provider, load({}, dotenv=None))


@pytest.mark.parametrize(
    "line",
    [
        'headers = { Host = "x" }',
        'headers = { "a b" = "x" }',
        'headers = { X = "a\\r\\nY: b" }',
        'headers = { X = { env = "lower" } }',
        'body = { model = "other" }',
        "query = { a = 1 }",
    ],
)
def test_what_cannot_be_is_refused_by_its_key(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_providers(written(tmp_path, "openai", line))
    assert str(refusal.value.field).startswith(f"some.{line.partition(' ')[0]}")
