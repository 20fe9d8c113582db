"""After a run on a whole stack, no word of a prompt, an answer or a key stands anywhere but with caller and provider.

The providers are hostile: their errors quote the whole request, with its key. Looked through: every file of the data
folder and every log (the files of PostgreSQL and Redis too), every table, every key of Redis, what the API, the metrics
and Flower tell, titles of processes, and the spans that are sent out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import redis
import requests

from app.cli import servers
from app.cli.place import place
from tests.providers.server import Received, Server, whole
from tests.support import commands
from tests.support.collector import Collector
from tests.support.ports import free_port
from tests.support.servers import folder
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

PROMPT, ANSWER, KEY = "markedPROMPTzq", "markedANSWERzq", "sk-markedKEYzq-0123456789"
MARKS = (PROMPT, ANSWER, "markedKEYzq")
CONVERSATION = "markedPROMPTzq-conversation"

BLOCK = """
[{name}]
format = "openai"
base_url = "{url}/{name}"
key_env = "MARKED_API_KEY"
models = ["model-of-{name}"]
"""
#: by the first part of the path: what a provider answers with
STATUS = {"refuses": 400, "fails": 500, "limits": 429, "unknown": 404, "filters": 403}
JSON = {"Content-Type": "application/json"}
NAMES = ("answers", "breaks", *STATUS)


def answer(request: Received) -> Iterator[bytes]:
    """By the name in the path; every error quotes what was asked, and the key it was asked with."""
    name = request.path.split("/")[1]
    asked = request.body.decode()
    if PROMPT not in asked:  # of a round: such answers are kept, to be looked at
        message = {"role": "assistant", "content": "42"}
        plain = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        yield from whole(200, JSON, json.dumps(plain if asked else {"data": []}).encode())
        return
    quoted = f"you sent {asked} with {request.headers.get('authorization')}"
    error = {"error": {"message": quoted, "type": quoted, "code": PROMPT, "param": quoted}}
    if name in STATUS:
        yield from whole(STATUS[name], JSON, json.dumps(error).encode())
    elif json.loads(asked).get("stream"):
        content = {"choices": [{"index": 0, "delta": {"content": ANSWER}, "finish_reason": None}]}
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        events = [content, error if name == "breaks" else end]
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        yield from whole(200, {"Content-Type": "text/event-stream"}, body.encode())
    else:
        message = {"role": "assistant", "content": f"{ANSWER} {PROMPT}"}
        good = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        yield from whole(200, JSON, json.dumps(error if name == "breaks" else good).encode())


def test_no_word_of_a_request_is_kept(tmp_path: Path) -> None:
    with folder() as home, Server(answer) as provider, Collector() as collector:
        changes = environment(home, provider.url, collector.url)
        with commands.running(["-m", "app.cli.main", "up"], changes, cwd=home) as up:
            up.says("TooLoo is ready", timeout_s=300)
            url = f"http://127.0.0.1:{changes['TOOLOO_PORT']}"
            asked = dict(all_asked(url))
            failed = sum(status >= 400 for status in asked.values())
            assert reached(provider) == set(NAMES)
            assert failed > 20
            wait_until(lambda: counted(home / "data") >= failed, 60, "every failed request is written down")
            collector.wait_for(lambda spans: len(spans) > len(asked), "spans are sent out")

            found = [
                *(f"span: {span}" for span in collector.spans if marked(repr(span))),
                *in_tables(home / "data"),
                *in_redis(home / "data"),
                *in_answers(url, f"http://127.0.0.1:{changes['TOOLOO_FLOWER_PORT']}", asked),
                *in_titles(changes["TOOLOO_DATA_DIR"]),
            ]
        found += [f"output: {line}" for line in up.output.splitlines() if marked(line)]
        found += in_files(home)

    assert found == []
    assert "request failed" in up.output, "failures are logged, without their words"


def environment(home: Path, provider: str, collector: str) -> dict[str, str]:
    config = home / "config"
    config.mkdir()
    for name in ("policy.toml", "prompts.toml"):
        (config / name).write_bytes((commands.ROOT / "config" / name).read_bytes())
    blocks = "".join(BLOCK.format(name=name, url=provider) for name in NAMES)
    (config / "providers.toml").write_text(blocks)
    ports = {name: str(free_port()) for name in ("TOOLOO_PORT", "TOOLOO_FLOWER_PORT", "TOOLOO_LAB_PORT")}
    return ports | {
        "TOOLOO_CONFIG_DIR": str(config),
        "TOOLOO_DATA_DIR": str(home / "data"),
        "MARKED_API_KEY": KEY,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "PYTHONPATH": str(commands.ROOT),
    }


def all_asked(url: str) -> Iterator[tuple[str, int]]:
    """Ids and statuses of requests in every protocol, to every provider, as a whole and as a stream."""
    message = [{"role": "system", "content": PROMPT}, {"role": "user", "content": f"{PROMPT} and more"}]
    for name in NAMES:
        for stream in (False, True):
            paths: dict[str, dict[str, Any]] = {
                "/v1/chat/completions": {"model": name, "messages": message, "user": PROMPT},
                "/api/v1/chat": {"provider": name, "messages": message},
                "/v1/messages": {"model": name, "messages": message[1:], "system": PROMPT, "max_tokens": 50},
                "/v1/responses": {"model": name, "input": PROMPT, "store": False},
            }
            for path, body in paths.items():
                headers = {"X-Tooloo-Session": CONVERSATION}
                told = requests.post(url + path, json={**body, "stream": stream}, headers=headers, timeout=30)
                assert told.text
                name_of_it = told.headers.get("x-tooloo-request-id") or told.headers["x-request-id"]
                yield name_of_it, told.status_code


def reached(provider: Server) -> set[str]:
    """Names of those who were sent a prompt."""
    return {each.path.split("/")[1] for each in provider.received if PROMPT.encode() in each.body}


def marked(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def database(data: Path) -> Any:
    return psycopg2.connect(servers.postgres_url(place(data)).replace("+psycopg2", "", 1))


def counted(data: Path) -> int:
    with database(data) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM requests")
        return int(cursor.fetchone()[0])


def in_tables(data: Path) -> Iterator[str]:
    with database(data) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608  # a name of the catalogue
            yield from (f"table {table}: {row[:300]}" for (row,) in cursor.fetchall() if marked(row))


def in_redis(data: Path) -> Iterator[str]:
    with redis.Redis.from_url(servers.redis_url(place(data))) as client:
        read = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1),
            b"stream": client.xrange,
        }
        for key in client.scan_iter():
            kind: Any = client.type(key)
            if marked(repr((key, read[kind](key)))):
                yield f"redis {key!r}"


def in_answers(url: str, flower: str, asked: Iterable[str]) -> Iterator[str]:
    paths = ["/metrics", "/healthz", "/readyz", "/", "/rounds", "/requests", "/health"]
    paths += [f"/api/v1/system/{name}" for name in ("scorecard", "insights", "usage", "runtime-config", "spend")]
    paths += ["/api/v1/requests?limit=200", *(f"/api/v1/requests/{each}" for each in asked)]
    told = [(url + path, requests.get(url + path, timeout=20)) for path in paths]
    told += [
        (flower + path, requests.get(flower + path, timeout=20)) for path in ("/workers?json=1", "/tasks", "/broker")
    ]
    for where, response in told:
        assert response.status_code < 500, (where, response.text)
        if marked(response.text):
            yield f"{where}: {response.text[max(0, response.text.find('marked') - 200) :][:400]}"


def in_titles(data: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if data in line and marked(line):
            yield f"title: {line}"


def in_files(home: Path) -> Iterator[str]:
    """Once the servers have written all they have."""
    for path in home.rglob("*"):
        if path.is_file() and any(mark.encode() in path.read_bytes() for mark in MARKS):
            yield f"file {path.relative_to(home)}"
