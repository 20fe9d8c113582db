"""The way to a provider: through a proxy, by a store of certificates of its own, with a certificate of ours."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import ConnectionLost, LocalFailure, ProviderError, Timeout
from app.providers.base import Endpoint
from app.providers.client import Client, Pool
from app.providers.http.dialing import Proxy, Way
from tests.providers.calls import KEY, ask, endpoint
from tests.providers.server import Server, chunked, whole
from tests.support.forward_proxy import ForwardProxy
from tests.support.ports import free_port

PLAIN = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
#: a name that nothing on this machine resolves: who gets there went through the proxy
HOST = "provider.invalid"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for HOST and 127.0.0.1, and one of a client, each with its key; made for this run."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificates of this test")
    folder = tmp_path_factory.mktemp("tls")
    for name, more in (("server", f"-addext subjectAltName=DNS:{HOST},IP:127.0.0.1"), ("client", "")):
        command = (
            f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} {more}"
        )
        paths = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"]
        subprocess.run([*command.split(), *paths], check=True, capture_output=True)
    return folder


def answer(server: Server) -> None:
    server.answer = lambda got: chunked([SAID, DONE]) if got.json.get("stream") else whole(200, {}, PLAIN)


def serving(files: Path, *, of_clients: bool = False) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "server.crt", files / "server.key")
    if of_clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files / "client.crt")
    made = Server(lambda _: [b""], context)
    answer(made)
    return made


@pytest.fixture
def secure(files: Path) -> Iterator[Server]:
    with serving(files) as server:
        yield server


@pytest.fixture
def client() -> Iterator[Client]:
    with Pool(4) as pool:
        yield Client(pool)


def by(way: Way, url: str = f"https://{HOST}:8443/v1") -> Endpoint:
    return replace(endpoint(url), way=way)


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


@STREAMED
def test_https_goes_through_a_tunnel_that_is_kept(client: Client, secure: Server, files: Path, *, stream: bool) -> None:
    with ForwardProxy({HOST: port_of(secure)}) as proxy:
        target = by(Way(Proxy("127.0.0.1", proxy.port), ca_bundle=str(files / "server.crt")))
        first, second = (ask(client, target, stream=stream)[0] for _ in range(2))

    assert (first.text, second.text) == ("Hi", "Hi")
    assert proxy.first_lines == [f"CONNECT {HOST}:8443 HTTP/1.1"]
    assert KEY not in proxy.heads[0]
    assert (first.timing.connect_ms > 0, second.timing.connect_ms) == (True, 0)
    assert [got.path for got in secure.received] == ["/v1/chat/completions"] * 2


@STREAMED
def test_http_is_asked_of_the_proxy_by_the_whole_url(client: Client, *, stream: bool) -> None:
    with Server(lambda _: [b""]) as server, ForwardProxy({HOST: port_of(server)}, authorization="Basic eA==") as proxy:
        answer(server)
        target = by(Way(Proxy("127.0.0.1", proxy.port, "Basic eA==")), f"http://{HOST}/v1")

        assert ask(client, target, stream=stream)[0].text == "Hi"

    assert proxy.first_lines == [f"POST http://{HOST}/v1/chat/completions HTTP/1.1"]
    assert f"Host: {HOST}\r\n" in proxy.heads[0]
    assert "proxy-authorization" not in server.received[0].headers


def test_a_password_is_for_the_proxy_alone(client: Client, secure: Server, files: Path) -> None:
    with ForwardProxy({HOST: port_of(secure)}, authorization="Basic dTpw") as proxy:
        known = Proxy("127.0.0.1", proxy.port, "Basic dTpw")
        way = Way(known, ca_bundle=str(files / "server.crt"))

        assert ask(client, by(way), stream=False)[0].text == "Hi"
        with pytest.raises(LocalFailure, match="wants a user and a password"):
            ask(client, by(way._replace(proxy=known._replace(authorization=""))), stream=False)

    assert "proxy-authorization" not in secure.received[0].headers
    assert "dTpw" not in repr(by(way))


@pytest.mark.parametrize(
    ("says", "kind", "why"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", LocalFailure, "answered 403"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", ConnectionLost, "answered 502"),
        (b"", LocalFailure, "closed without an answer"),
        (b"SSH-2.0-x\r\n\r\n", LocalFailure, "no HTTP"),
    ],
)
def test_what_a_proxy_refuses_counts_for_the_provider_only_where_it_is_about_it(
    client: Client, says: bytes, kind: type[ProviderError], why: str
) -> None:
    with ForwardProxy({}, says=says) as proxy, pytest.raises(kind, match=why) as refusal:
        ask(client, by(Way(Proxy("127.0.0.1", proxy.port))), stream=False)

    assert f"127.0.0.1:{proxy.port}" in str(refusal.value)
    assert refusal.value.counts is (kind is ConnectionLost)


def test_a_proxy_that_does_not_listen_is_no_fault_of_the_provider(client: Client) -> None:
    port = free_port()
    with pytest.raises(LocalFailure, match=f"no connection to the proxy 127.0.0.1:{port}"):
        ask(client, by(Way(Proxy("127.0.0.1", port))), stream=False)


def test_a_tunnel_that_does_not_come_ends_at_the_deadline(client: Client) -> None:
    with Server(lambda _: server.silence()) as server:
        way = Way(Proxy("127.0.0.1", port_of(server)))
        with pytest.raises(Timeout) as caught:
            ask(client, by(way), stream=False, timeout_ms=300)

    assert caught.value.phase == "connect"


@STREAMED
def test_each_way_has_its_own_store_of_certificates(
    client: Client, secure: Server, files: Path, *, stream: bool
) -> None:
    trusting, usual = by(Way(ca_bundle=str(files / "server.crt")), secure.url), by(Way(), secure.url)

    assert ask(client, trusting, stream=stream)[0].text == "Hi"
    with pytest.raises(ConnectionLost, match="certificate"):  # nor does it get the other one's open connection
        ask(client, usual, stream=stream)


@pytest.mark.parametrize("apart", [False, True], ids=["one file", "key apart"])
def test_a_server_that_wants_our_certificate_gets_it(client: Client, files: Path, *, apart: bool) -> None:
    both = files / "both.pem"
    both.write_bytes((files / "client.crt").read_bytes() + (files / "client.key").read_bytes())
    own = (str(files / "client.crt"), str(files / "client.key")) if apart else (str(both), "")
    way = Way(None, str(files / "server.crt"), *own)
    with serving(files, of_clients=True) as server:
        assert ask(client, by(way, server.url), stream=False)[0].text == "Hi"
        with pytest.raises(ConnectionLost):
            ask(client, by(way._replace(client_cert="", client_key=""), server.url), stream=False)


def test_our_certificate_goes_through_a_tunnel_too(client: Client, files: Path) -> None:
    with serving(files, of_clients=True) as server, ForwardProxy({HOST: port_of(server)}) as proxy:
        pem = (str(files / "server.crt"), str(files / "client.crt"), str(files / "client.key"))
        way = Way(Proxy("127.0.0.1", proxy.port), *pem)

        assert ask(client, by(way), stream=False)[0].text == "Hi"
