"""The embedded Redis, in the place of the one that earlier releases brought."""

from __future__ import annotations

import os
from base64 import b64decode

import redis

from app.cli.place import make_private, place
from tests.support import servers

#: what Redis 6.2.14 left of: SET a 1, XADD s x y, HSET h f 2, ZADD z 1 q, a rewrite, SET b 2, XGROUP CREATE s g 0,
#: XREADGROUP of one entry by c
APPENDED_BY_6_2 = b64decode(
    "UkVESVMwMDA5+glyZWRpcy12ZXIGNi4yLjE0+gpyZWRpcy1iaXRzwED6BWN0aW1lwpzdDGv6CHVzZWQtbWVtwjhiDgD6DGFvZi1wcmVhbWJsZcAB"
    "/gD7BAAMAXoQEAAAAA0AAAACAAABcQPy/w0BaBAQAAAADQAAAAIAAAFmA/P/AAFhwAEPAXMBEAAAAaIqQardAAAAAAAAAAAdHQAAAAoAAQEAAQEB"
    "gXgCAAECAQABAAGBeQIEAf8BgQAAAaIqQardAAD/hXUz77HhjScqMg0KJDYNClNFTEVDVA0KJDENCjANCiozDQokMw0KU0VUDQokMQ0KYg0KJDEN"
    "CjINCio1DQokNg0KWEdST1VQDQokNg0KQ1JFQVRFDQokMQ0Kcw0KJDENCmcNCiQxDQowDQoqMTQNCiQ2DQpYQ0xBSU0NCiQxDQpzDQokMQ0KZw0K"
    "JDENCmMNCiQxDQowDQokMTUNCjE3OTYwMDUyNzYzODEtMA0KJDQNClRJTUUNCiQxMw0KMTc5NjAwNTI3NzM5Mw0KJDEwDQpSRVRSWUNPVU5UDQok"
    "MQ0KMQ0KJDUNCkZPUkNFDQokNg0KSlVTVElEDQokNg0KTEFTVElEDQokMTUNCjE3OTYwMDUyNzYzODEtMA0K"
)


def test_what_redis_6_2_wrote_is_read_with_streams_and_what_was_pending() -> None:
    with servers.folder() as data:
        where = place(data)
        make_private(where.redis, where)
        file = where.redis / "appendonly.aof"
        file.write_bytes(APPENDED_BY_6_2)
        if where.owner is not None:
            os.chown(file, where.owner.pw_uid, where.owner.pw_gid)
        with servers.redis(data) as url, redis.Redis.from_url(url, decode_responses=True) as client:
            assert (client.get("a"), client.get("b")) == ("1", "2")
            assert client.hgetall("h") == {"f": "2"}
            assert client.zrange("z", 0, -1, withscores=True) == [("q", 1.0)]
            assert [fields for _, fields in client.xrange("s")] == [{"x": "y"}]
            assert client.xpending("s", "g")["consumers"] == [{"name": "c", "pending": 1}]


def test_the_embedded_redis_is_one_that_still_gets_fixes() -> None:
    with (
        servers.folder() as data,
        servers.redis(data) as url,
        redis.Redis.from_url(url, decode_responses=True) as client,
    ):
        told = client.info("server")

    assert told["server_name"] == "valkey"
    assert int(told["valkey_version"].split(".")[0]) >= 9
