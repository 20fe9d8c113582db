"""One HTTP/1.1 request and its response, over a connection of the pool. Whatever fails ends in one of our errors.

The framing is read by llhttp, Node.js's parser (httptools); docs/decisions.md says why not by a general client.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, urlsplit

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from app.errors import ConnectionLost, LocalFailure, StreamCut, UnusableAnswer
from app.providers.http.clock import Call
from app.providers.http.connections import HUNG_UP, Connection, Pool, failure
from app.providers.http.dialing import DIRECT, Origin, Way, written

#: bytes of the longest head or trailer taken, and of the longest answer
MAX_HEAD, MAX_ANSWER = 256 * 1024, 32 * 1024 * 1024
#: what stands in a path as it is
_PATH = "/%:@!$&'()*+,;=~"
_QUERY = _PATH + "?"
_COMPRESSED = {"gzip", "x-gzip", "deflate"}
#: what a further member of a gzip file begins with
_MEMBER = b"\x1f"


def send(
    pool: Pool, call: Call, method: str, url: str, headers: Mapping[str, str], body: bytes | None, way: Way = DIRECT
) -> Response:
    """The response with its head read and its body not; raises a ProviderError where there is none."""
    response = begin(pool, call, method, url, headers, body, way)
    try:
        while not response.status:
            response.receive()
    except BaseException:  # also what the handler of a signal raises, such as a task's time limit
        response.close()
        raise
    return response


def begin(
    pool: Pool, call: Call, method: str, url: str, headers: Mapping[str, str], body: bytes | None, way: Way = DIRECT
) -> Response:
    """The same with nothing read: the request is on its way."""
    origin, host, target = _parts(url, way)
    if (proxy := origin.asked_of_proxy) is not None and proxy.authorization:
        headers = {**headers, "Proxy-Authorization": proxy.authorization}
    message = _message(method, host, target, headers, body)
    response = Response(pool, pool.take(origin, call), call, has_body=method != "HEAD")
    try:
        response.send(message)
    except BaseException:
        response.close()
        raise
    return response


class Response:
    """A response on its way. The parser calls the methods on_…, from within `receive`."""

    def __init__(self, pool: Pool, connection: Connection, call: Call, *, has_body: bool) -> None:
        #: 0 until the head has arrived
        self.status = 0
        #: by their names in lower case
        self.headers: dict[str, str] = {}
        self._pool = pool
        self._call = call
        self._has_body = has_body
        #: None: it is out of our hands, given back or closed
        self._connection: Connection | None = connection
        self._parser: HttpResponseParser | None = _parser(self)
        #: bytes that have arrived since the last ones that hold some of the body
        self._bodiless = 0
        #: of the body, where it is none we pass on as it is
        self._encoding = ""
        self._decoder: zlib._Decompress | None = None
        #: why the body cannot be decoded; told to who reads it, for the status may say enough without it
        self._unreadable = ""
        self._arrived: list[bytes] = []
        self._ended = False
        #: the server has taken the whole request, as far as is known
        self._sent = True
        #: what follows what has arrived is no HTTP
        self._broken = False
        #: nothing but this response came over the connection, and both sides keep it open
        self._reusable = False
        #: what was sent, while it may have to be sent again
        self._message = b""

    def send(self, message: bytes) -> None:
        """The request, in one piece: head and body apart would be two system calls and two TLS records.

        A server may refuse a request before it has read all of it, and close; what it said can still be received.
        """
        assert self._connection is not None
        self._message = message if self._connection.kept else b""
        try:
            self._connection.send(message)
        except HUNG_UP:
            self._sent = False
        except OSError as error:
            raise failure(error, self._call, ConnectionLost, "connection lost") from error

    def pieces(self, *, stream: bool = False, most: int | None = None) -> Iterator[bytes]:
        """The body as it arrives, `most` bytes of it at the most; of what is read into memory no more than MAX_ANSWER.

        Raises StreamCut (`stream`) or ConnectionLost where it ends before its end.

        Closes the response, be it at its end or where its reader leaves it.
        """
        lost = StreamCut if stream else ConnectionLost
        size, most = 0, MAX_ANSWER if most is None else most
        try:
            while True:
                arrived, self._arrived = self._arrived, []
                for piece in arrived:
                    size += len(piece)
                    if size > most:
                        raise UnusableAnswer(f"the answer is longer than {most} bytes")
                    yield piece
                if self._unreadable:
                    raise UnusableAnswer(self._unreadable)
                if self._broken:
                    raise lost("connection lost: the answer's framing is broken")
                if self._ended or self._connection is None:
                    if self._decoder is not None and not self._decoder.eof:
                        raise lost("connection lost: the compressed answer ends before its end")
                    return
                if not self.receive(lost):
                    yield b""
        finally:
            self.close()

    def receive(self, lost: type[ConnectionLost] = ConnectionLost) -> bool:
        """Wait until more of it arrives; False where nothing has for as long as a beat of the call.

        Raises `lost` where it ends too early, and other ProviderErrors.
        """
        assert self._connection is not None
        try:
            data = self._connection.receive()
        except OSError as error:
            if isinstance(error, TimeoutError) or not self._sent_again():
                raise failure(error, self._call, lost, "connection lost") from error
            return True
        if data is None:
            return False
        if data:
            self._read(data)
        elif not self._sent_again():
            self._closed(lost)
        return True

    @property
    def waits_for(self) -> Connection | None:
        """The connection, where `receive` does not wait for it: to be asked again when something has come."""
        connection = self._connection
        return None if connection is None or connection.waits else connection

    def wait(self, *, waits: bool) -> bool:
        """Shall `receive` wait from now on? False where nothing is to be waited for any more, or nothing changes."""
        if self._connection is None or self._connection.waits == waits:
            return False
        self._connection.wait(waits=waits)
        return True

    @property
    def is_early(self) -> bool:
        """`receive` said that nothing came, and did not wait for it."""
        return self._connection is not None and self._connection.is_early

    def _sent_again(self) -> bool:
        """A kept connection that ends before any byte of the answer was closed as the request went out: it is sent
        once more, on a new one. No attempt of its own, for the provider has said nothing to the first."""
        old, message = self._connection, self._message
        if old is None or not message or not old.kept or self._call.interrupted:
            return False
        old.close()
        self._connection, self._message, self._sent = None, b"", True
        self._connection = self._pool.take(old.origin, self._call, new=True)
        self.send(message)
        return True

    def _read(self, data: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.status:
                raise UnusableAnswer("the answer is not HTTP") from error
            self._reusable = False
            self._broken = not self._ended
        if self._arrived or self._ended:
            self._bodiless = 0
        else:
            self._bodiless += len(data)
            if self._bodiless > MAX_HEAD:
                raise UnusableAnswer(f"the head or trailer of the answer is longer than {MAX_HEAD} bytes")

    def close(self) -> None:
        """Have done with it: before its end, its connection is not used again."""
        connection, self._connection, self._parser = self._connection, None, None
        if connection is None:
            return
        self._call.release()
        if self._reusable and self._sent:
            self._pool.give_back(connection)
        else:
            connection.close()

    def _closed(self, lost: type[ConnectionLost]) -> None:
        framed = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        if framed or not self.status or self._call.interrupted:  # the latter looks like the end of what has no length
            raise lost("connection lost: closed before the end of the answer")
        self._ended = True

    def on_message_begin(self) -> None:
        if self._ended:  # an answer to nothing
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if self.status:  # of an answer to nothing, behind the one to our request
            return
        if status < 200:  # the response is still to come
            self.headers.clear()
        else:
            self.status = status
            encoding = self.headers.get("content-encoding", "").strip().lower()
            self._encoding = "" if encoding == "identity" else encoding
            if not self._has_body:
                self._ended = True
                said = [word.strip() for word in self.headers.get("connection", "").lower().split(",")]
                stays = "keep-alive" in said or self._parser.get_http_version() == "1.1"
                self._reusable = stays and "close" not in said

    def on_body(self, data: bytes) -> None:
        if self._ended:
            self._reusable = False
        elif not self._encoding:
            self._arrived.append(data)
        else:
            self._decode(data)

    def _decode(self, data: bytes) -> None:
        if self._encoding not in _COMPRESSED:
            self._unreadable = f"the answer is encoded in a way that was not asked for: {self._encoding[:50]}"
            return
        try:
            while data:
                if self._decoder is None or (self._decoder.eof and data.startswith(_MEMBER)):
                    self._decoder = zlib.decompressobj(32 + zlib.MAX_WBITS)  # gzip's header or zlib's
                elif self._decoder.eof:  # padding
                    return
                if decoded := self._decoder.decompress(data, MAX_ANSWER + 1):
                    self._arrived.append(decoded)
                data = self._decoder.unused_data
        except zlib.error:
            self._unreadable = "the answer's encoding is broken"

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self.status and not self._ended:
            self._ended = True
            self._reusable = self._parser.should_keep_alive()


def _parser(response: Response) -> HttpResponseParser:
    """As forgiving as other clients are: it is dangerous where framing is passed on, and here it ends."""
    parser = HttpResponseParser(response)
    parser.set_dangerous_leniencies(
        lenient_chunked_length=True,  # beside a length, chunks count (RFC 9112, 6.3)
        lenient_optional_cr_before_lf=True,
        lenient_spaces_after_chunk_size=True,
    )
    return parser


def _message(method: str, host: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: tooloo", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    try:
        head = "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise LocalFailure("a header of the request holds what no header can") from None
    if not head.count(b"\r") == head.count(b"\n") == len(lines) - 1:
        raise LocalFailure("a header of the request holds a line break")
    return head + b"\r\n\r\n" + (body or b"")


@lru_cache(maxsize=1024)
def _parts(url: str, way: Way) -> tuple[Origin, str, str]:
    """Origin, Host header, and what stands in the first line of the request: to a proxy, all of the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
        target = quote(parts.path or "/", safe=_PATH) + (f"?{quote(parts.query, safe=_QUERY)}" if parts.query else "")
    except ValueError:  # brackets that do not match, no port, half a surrogate
        raise LocalFailure("the provider's URL is none") from None
    tls = parts.scheme == "https"
    host = parts.hostname or ""
    usual = 443 if tls else 80
    port = port or usual
    place = written(host) if port == usual else f"{written(host)}:{port}"
    origin = Origin(tls, host, port, way)
    return origin, place, target if origin.asked_of_proxy is None else f"http://{place}{target}"
