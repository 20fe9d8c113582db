"""Names of requests."""

from __future__ import annotations

import os

from app.gateway.calls import new_request_id


def test_a_name_is_one_of_many() -> None:
    names = {new_request_id() for _ in range(1000)}
    assert len(names) == 1000
    assert {len(name) for name in names} == {len("req-") + 32}


def test_a_forked_process_gives_other_names_than_its_parent() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_request_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert told.read() != new_request_id()
