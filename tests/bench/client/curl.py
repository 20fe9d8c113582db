"""The same calls by libcurl, one easy handle per thread: python -m tests.bench.client.curl KIND URL THREADS SECONDS

In an environment of its own, with pycurl. KIND is plain, poll (an own wait that another thread can wake, over libcurl's
multi interface, as a call that can be cancelled at once needs it) or stream.
"""

from __future__ import annotations

import json
import os
import select
from io import BytesIO

import pycurl

from tests.bench.client import loop

HEADERS = ["Content-Type: application/json", "Authorization: Bearer sk-test-0123456789abcdef", "Expect:"]
TIMEOUT_MS = 20_000


def handle(url: str, body: bytes) -> pycurl.Curl:
    made = pycurl.Curl()
    made.setopt(pycurl.URL, f"{url}/chat/completions")
    made.setopt(pycurl.HTTPHEADER, HEADERS)
    made.setopt(pycurl.NOSIGNAL, 1)
    made.setopt(pycurl.TIMEOUT_MS, TIMEOUT_MS)
    made.setopt(pycurl.POSTFIELDS, body)
    return made


def plain(url: str) -> loop.Call:
    curl = handle(url, loop.BODY)

    def call() -> int:
        answer = BytesIO()
        curl.setopt(pycurl.WRITEDATA, answer)
        curl.perform()
        json.loads(answer.getvalue())
        if curl.getinfo(pycurl.RESPONSE_CODE) != 200:
            raise OSError("refused")
        return 1

    return call


def woken(url: str) -> loop.Call:
    """pycurl has no curl_multi_wakeup: the wait is a poll of ours over libcurl's socket and a pipe."""
    curl, multi, poll = handle(url, loop.BODY), pycurl.CurlMulti(), select.poll()
    poll.register(os.pipe()[0], select.POLLIN)

    def watch(event: int, fd: int, _multi: object, _data: object) -> None:
        if event == pycurl.POLL_REMOVE:
            poll.unregister(fd)
        else:
            poll.register(fd, select.POLLIN if event == pycurl.POLL_IN else select.POLLIN | select.POLLOUT)

    multi.setopt(pycurl.M_SOCKETFUNCTION, watch)

    def call() -> int:
        answer = BytesIO()
        curl.setopt(pycurl.WRITEDATA, answer)
        multi.add_handle(curl)
        left = multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)[1]
        while left:
            if not (events := poll.poll(max(0, multi.timeout()) or TIMEOUT_MS)):
                left = multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)[1]
            for fd, _ in events:
                left = multi.socket_action(fd, 0)[1]
        multi.remove_handle(curl)
        json.loads(answer.getvalue())
        return 1

    return call


def stream(url: str) -> loop.Call:
    curl = handle(url, loop.STREAM_BODY)

    def call() -> int:
        pieces = [0]

        def arrived(_: bytes) -> None:
            pieces[0] += 1

        curl.setopt(pycurl.WRITEFUNCTION, arrived)
        curl.perform()
        return pieces[0]

    return call


def main() -> None:
    kind, url, threads, seconds = loop.arguments()
    loop.measure(lambda: {"plain": plain, "poll": woken, "stream": stream}[kind](url), threads, seconds)


if __name__ == "__main__":
    main()
