"""What is written down of a request that was passed through; and who may send one where there are keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from app.domain.keys import Scope
from app.evidence import ingest
from app.providers.spending import Passing, asked_model
from tests.api.openai.test_passthrough import BEARER, BLOCKS, JSON, KEYS
from tests.providers.server import Hangup, Received, whole
from tests.support.blocks import stack_of
from tests.support.waiting import wait_until


def hang_up(_: Received) -> list[bytes]:
    raise Hangup


def test_it_is_logged_counted_and_explained(database_url: str, redis_url: str, tmp_path: Path) -> None:
    usage = {"usage": {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}}
    with stack_of(tmp_path, BLOCKS, KEYS, (database_url, redis_url)) as stack:
        services = stack.running.gateway.services
        stack.servers["one"].answer = lambda _: whole(200, JSON, json.dumps({"model": "m", **usage}).encode())
        answer = stack.post("/v1/passthrough/one/responses", BEARER, model="m", input="x")
        name = answer.headers["x-tooloo-request-id"]
        stack.servers["one"].answer = lambda _: whole(404, JSON, b"{}")
        stack.post("/v1/passthrough/one/files/secret", BEARER)
        stack.servers["one"].answer = lambda _: []
        stack.servers["one"].answer = hang_up
        assert stack.post("/v1/passthrough/one/files/secret", BEARER).status_code == 502

        def get(path: str) -> requests.Response:
            return requests.get(f"{stack.url}{path}", timeout=30)

        def logged() -> bool:
            """All three, in whatever batches they came."""
            ingest.ingest(services)
            rows = get("/api/v1/system/usage?by=provider").json()["data"]["usage"]
            return sum(row["requests"] for row in rows) == 3

        wait_until(logged)
        told = get(f"/api/v1/requests/{name}").json()["data"]
        assert (told["asked"], told["status"]) == ("passthrough/one/responses", "ok")
        assert (told["provider"], told["model"], told["cost"]) == ("one", "m", pytest.approx(0.0004))
        assert (told["tokens"]["prompt"], told["tokens"]["completion"]) == (100, 50)
        rows = get("/api/v1/system/usage?by=provider,model").json()["data"]["usage"]
        counted = {row["model"]: (row["requests"], row["failed"], row["promptTokens"]) for row in rows}
        assert counted == {"m": (1, 0, 100), "files": (1, 0, 0), "": (1, 1, 0)}
        metrics = get("/metrics").text
        assert 'tooloo_passthrough_total{outcome="ok",provider="one"} 1.0' in metrics
        assert 'tooloo_passthrough_total{outcome="http_404",provider="one"} 1.0' in metrics
        assert stack.running.gateway.breakers.value == {}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"usage": {"prompt_tokens": 3, "completion_tokens": 4}}', (3, 4)),
        (b'{"usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 4}}', (8, 4)),
        (b'data: {"usage":{"input_tokens":3,"output_tokens":1}}\n\ndata: {"usage":{"output_tokens":9}}\n\n', (3, 9)),
        (b'{"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}', (3, 4)),
        (b'{"usage": {"type": "duration", "seconds": 9}}', None),
        (b'{"text": "say \\"usage\\": {\\"prompt_tokens\\": 3}"}', None),
        (b'{"usage": {"prompt_tokens": -3}}', None),
        (b'{"usage": {"prompt_tokens": 3', None),
        (b"\xff\x00", None),
    ],
)
def test_usage_is_found_in_whatever_passes_by(body: bytes, tokens: tuple[int, int] | None) -> None:
    for size in (1, 7, len(body)):
        seen = Passing()
        for start in range(0, len(body), size):
            seen.note(body[start : start + size])
        assert (seen.usage and (seen.usage.prompt, seen.usage.completion)) == tokens


def test_usage_behind_a_large_image_is_found() -> None:
    seen = Passing()
    for piece in (
        b'{"data": [{"b64_json": "',
        b"A" * 5_000_000,
        b'"}], "usage": {"input_tokens": 3, ',
        b'"output_tokens": 4}}',
    ):
        seen.note(piece)

    assert seen.usage is not None
    assert (seen.usage.prompt, seen.usage.completion) == (3, 4)


def test_tokens_of_images_have_no_price_here() -> None:
    seen = Passing()
    seen.note(b'{"usage": {"input_tokens": 3, "output_tokens": 4, "input_tokens_details": {"image_tokens": 2}}}')

    assert not seen.is_of_text


def test_the_model_is_read_off_path_json_or_form() -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--x--'
    assert asked_model("v1beta/models/imagen-4:predict", b"") == "imagen-4"
    assert asked_model("images/generations", b'{"model": "gpt-image-1"}') == "gpt-image-1"
    assert asked_model("audio/transcriptions", form) == "whisper-1"
    assert asked_model("files", b"") is None


def test_a_stored_key_needs_a_scope_for_it(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environment = {**KEYS, "TOOLOO_ADMIN_KEY": "admin-key-0123456789", "TOOLOO_API_KEY": "api-key-0123456789"}
    with stack_of(tmp_path, BLOCKS, environment, (database_url, redis_url)) as stack:
        stack.servers["one"].answer = lambda _: whole(200, JSON, b"{}")

        def status(key: str, method: str = "POST") -> int:
            headers = {"Authorization": f"Bearer {key}"}
            url = f"{stack.url}/v1/passthrough/one/files"
            return requests.request(method, url, headers=headers, timeout=30).status_code

        def made(*scopes: Scope) -> str:
            body = {"name": "-".join(scopes), "scopes": list(scopes)}
            admin = {"Authorization": f"Bearer {environment['TOOLOO_ADMIN_KEY']}"}
            answer = stack.post("/api/v1/system/keys", admin, **body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["data"]["key"])

        keys = {
            scopes: made(*scopes)
            for scopes in [(Scope.CHAT,), (Scope.READ,), (Scope.PASSTHROUGH,), (Scope.CHAT, Scope.PASSTHROUGH)]
        }
        stack.running.gateway.services.keys.refresh(stack.running.gateway.services.redis)
        assert {scopes: (status(key), status(key, "GET")) for scopes, key in keys.items()} == {
            (Scope.CHAT,): (403, 403),
            (Scope.READ,): (403, 403),
            (Scope.PASSTHROUGH,): (403, 403),
            (Scope.CHAT, Scope.PASSTHROUGH): (200, 200),
        }
        assert (status("api-key-0123456789"), status("nobody")) == (200, 401)
