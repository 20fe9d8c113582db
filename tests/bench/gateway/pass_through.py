"""The least a gateway in Flask can do: hand the body on, hand the answer back. Served by granian as ours is."""

from __future__ import annotations

import os
from collections.abc import Iterator

import urllib3
from flask import Flask, Response, request

URL = os.environ["BENCH_UPSTREAM"] + "/chat/completions"
pool = urllib3.PoolManager(maxsize=256, block=False)


def create() -> Flask:
    app = Flask("pass_through", static_folder=None)

    @app.post("/v1/chat/completions")
    def hand_on() -> Response:
        body = request.get_data()
        upstream = pool.request(
            "POST", URL, body=body, headers={"Content-Type": "application/json"}, preload_content=False
        )

        def pieces() -> Iterator[bytes]:
            yield from upstream.stream(65536)
            upstream.release_conn()

        if b'"stream": true' in body:
            return Response(pieces(), upstream.status, mimetype="text/event-stream")
        data = upstream.read()
        upstream.release_conn()
        return Response(data, upstream.status, mimetype="application/json")

    return app
