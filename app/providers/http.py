"""One POST: sent, read, and whatever urllib3 says about its failure turned into one of our errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import urllib3
from urllib3 import exceptions as foreign
from urllib3.util import Timeout as Limits

from app.errors import ConnectionLost, LocalFailure, ProviderError, StreamCut, UnusableAnswer
from app.providers.clock import CURRENT, Call
from app.providers.connections import CONNECT_S, is_local

#: bytes taken from the connection at once
PIECE = 64 * 1024
#: bytes of the longest answer taken
MAX_ANSWER = 32 * 1024 * 1024


def send(
    pool: urllib3.PoolManager, call: Call, method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> urllib3.HTTPResponse:
    """The response with its head read and its body not; raises a ProviderError where there is none."""
    left_s = max(call.left_s, 0.001)
    token = CURRENT.set(call)
    try:
        response = pool.urlopen(
            method,
            url,
            body=body,
            headers=headers,
            redirect=False,
            preload_content=False,
            timeout=Limits(connect=min(CONNECT_S, left_s), read=left_s),
        )
    except foreign.HTTPError as error:
        raise failure(error, call) from error
    finally:
        CURRENT.reset(token)
    return cast(urllib3.HTTPResponse, response)


def pieces(response: urllib3.HTTPResponse, call: Call, *, stream: bool = False) -> Iterator[bytes]:
    """The body as it arrives. Raises StreamCut (`stream`) or ConnectionLost where it ends before its end."""
    size = 0
    while True:
        try:
            piece = response.read1(PIECE)
        except foreign.HTTPError as error:
            raise failure(error, call, stream=stream) from error
        if not piece:
            return
        size += len(piece)
        if size > MAX_ANSWER:
            raise UnusableAnswer(f"the answer is longer than {MAX_ANSWER} bytes")
        yield piece


def failure(error: foreign.HTTPError, call: Call, *, stream: bool = False) -> ProviderError:
    """The one place where urllib3's exceptions become ours."""
    match error:
        case foreign.NameResolutionError():
            return LocalFailure("the provider's name cannot be resolved")
        case foreign.NewConnectionError():
            return _by_reason(error.__cause__, call, ConnectionLost, "no connection")
        case foreign.TimeoutError():
            return call.timed_out()
        case foreign.ProtocolError() | foreign.SSLError():
            reason = next((part for part in reversed(error.args) if isinstance(part, Exception)), error.__cause__)
            lost = StreamCut if stream else ConnectionLost
            return _by_reason(reason, call, lost, "connection lost")
        case foreign.DecodeError() | foreign.InvalidHeader():
            return UnusableAnswer("the answer's encoding or length is broken")
        case foreign.PoolError() | foreign.LocationValueError():
            return LocalFailure(f"the call could not be made: {type(error).__name__}")
    return ConnectionLost(f"connection lost: {type(error).__name__}")


def _by_reason(reason: BaseException | None, call: Call, lost: type[ConnectionLost], event: str) -> ProviderError:
    if isinstance(reason, TimeoutError):
        return call.timed_out()
    if isinstance(reason, OSError) and is_local(reason):
        return LocalFailure(f"{event}: {reason.strerror}")
    detail = getattr(reason, "strerror", None) or type(reason).__name__
    return lost(f"{event}: {detail}")
