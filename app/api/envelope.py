"""The envelope of every answer, and the one place that turns an error into one."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from flask import Flask, Response, g, request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from app import nesting
from app.api import inflate
from app.api.headers import header
from app.api.lean import Answer
from app.errors import InvalidRequest, PayloadTooLarge, TooLooError, TooManyRequests
from app.json_bytes import dumps

log = structlog.get_logger()

#: characters of an error message that are sent: it may quote what the caller sent
MESSAGE_LIMIT = 2000
#: of the way to a value that is nested too deeply, so many are told
FIELD_STEPS = 4


class Body(BaseModel):
    """A request body: camelCase, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


def ok(data: object, status: int = 200, **headers: str) -> Response:
    return json_response({"success": True, "data": data}, status, headers)


def request_id() -> str:
    """What the caller calls this request, else a name of ours."""
    if "request_id" not in g:
        given = header("X-Request-Id") or ""
        g.request_id = given if given.isascii() and given.isprintable() and 0 < len(given) <= 100 else uuid.uuid4().hex
    return str(g.request_id)


def failed(code: str, message: str, status: int, field: str | None = None) -> Response:
    error = {"code": code, "message": message[:MESSAGE_LIMIT], "requestId": request_id()}
    if field is not None:
        error["field"] = field[:MESSAGE_LIMIT]
    return json_response({"success": False, "error": error}, status)


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        written(document),
        status,
        {name.replace("_", "-"): v for name, v in (headers or {}).items()},
        "application/json",
    )


def as_it_is(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """JSON without the envelope, for routes that are served straight."""
    return Answer.whole(written(document), status, headers)


def written(document: object) -> bytes:
    """JSON as answers have it; a question mark for half a surrogate pair, which no encoding has."""
    return dumps(document, _written)


def _written(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def document() -> tuple[dict[str, Any], bool]:
    """The JSON body, and whether is_storable may refuse its texts; raises InvalidRequest naming the field."""
    try:
        data = inflate.body() or b"{}"
        read = read_json(data)
    except ValueError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise _too_deep(nesting.way_in(inflate.received())) from None
    if not isinstance(read, dict):
        raise InvalidRequest(f"the body must be a JSON object: got {type(read).__name__}")
    # a body with few brackets cannot be deep: nearly all
    if data.count(b"{") + data.count(b"[") > nesting.DEEPEST and (way := nesting.beyond(read)) is not None:
        raise _too_deep(way[:FIELD_STEPS])
    return read, _may_hold_odd_texts(data)


def read_json(data: bytes) -> Any:
    """By pydantic's reader, at a quarter of the time; the standard library's reads what that one does not: other
    encodings than UTF-8, halves of surrogate pairs. It also says what is wrong. Numbers are the same with both."""
    try:
        return from_json(data, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return _JSON.decode(data.decode(json.detect_encoding(data), "surrogatepass"))


def body(kind: type[BaseModel] | None = None) -> Any:
    """The JSON body as a dict, or as `kind`; raises InvalidRequest naming the field."""
    given, odd = document()
    if odd and not is_storable(given):
        raise InvalidRequest("the body holds a NUL character or half a surrogate pair: no text has either")
    if kind is None:
        return given
    try:
        return kind.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            known = ", ".join(f.alias or n for n, f in kind.model_fields.items())
            message = f"unknown field; known are: {known}"
        raise InvalidRequest(f"{field}: {message}" if field else message, field=field or None) from None


def _too_deep(way: tuple[str, ...]) -> InvalidRequest:
    field = ".".join(way)
    message = f"nested deeper than {nesting.DEEPEST} levels"
    return InvalidRequest(f"{field}: {message}" if field else f"the body is {message}", field=field or None)


def _no_json(name: str) -> None:
    raise ValueError(f"it has no {name}")


#: json.loads makes a new decoder at every call, where it is asked for anything
_JSON = json.JSONDecoder(parse_constant=_no_json)


def _may_hold_odd_texts(data: bytes) -> bool:
    """Only with an escape, a NUL (of UTF-16 and UTF-32 too), or the byte that a surrogate in UTF-8 begins with."""
    return b"\\u" in data or b"\xed" in data or b"\x00" in data


def is_storable(given: object) -> bool:
    """Can UTF-8 and PostgreSQL hold every text in it?"""
    return all(map(_storable, _texts(given)))


def _texts(given: object) -> Iterator[str]:
    """Every text in a JSON document, keys too."""
    waiting = [given]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as table:
                waiting += [*table, *table.values()]
            case list() as items:
                waiting += items


def _storable(text: str) -> bool:
    """JSON can spell what neither UTF-8 nor PostgreSQL can hold."""
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def handle_errors(app: Flask) -> None:
    @app.errorhandler(TooLooError)
    def _ours(error: TooLooError) -> Response:
        if error.status >= 500:
            log.warning("request failed", path=request.path, code=error.code, reason=error.kept)
        response = failed(error.code, error.message, error.status, error.field)
        if error.status == 503:
            response.headers["Retry-After"] = "5"
        if isinstance(error, TooManyRequests):
            response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        return response

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        if error.code == 413:
            return _ours(PayloadTooLarge(f"the body is larger than {app.config['MAX_CONTENT_LENGTH']} bytes"))
        names = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}
        status = error.code or 500
        response = failed(names.get(status, "http_error"), error.description or error.name, status)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    @app.errorhandler(Exception)
    def _unforeseen(error: Exception) -> Response:
        """The one logged boundary of the API process."""
        log.exception("unforeseen error", path=request.path, error=repr(error))
        return failed("internal_error", "something went wrong here; the log has it under this requestId", 500)
