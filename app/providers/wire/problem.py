"""What a provider says is wrong: read out of any error body, and turned into one of our classes.

Each wire format adds its own names in front of `by_status`; what is the same everywhere stands here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from app.errors import (
    AccountProblem,
    BadKey,
    BadRequest,
    ContextTooLong,
    LimitSpent,
    ModelUnknown,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    ServerError,
)
from app.providers.wire import surrogates
from app.providers.wire.delays import delay_in, retry_after_s

#: characters of a provider's message that are kept
MESSAGE = 1000
#: … and of the name of a field
PARAM = 200

#: of an error that came with success and names none: no class has this one
NO_STATUS = 200

STATUS: Mapping[int, type[ProviderError]] = {
    401: BadKey,
    402: OutOfCredit,
    403: BadKey,
    404: ModelUnknown,
    405: ModelUnknown,  # no such way into this address: base_url leads elsewhere
    407: ServerError,  # a proxy in between
    408: ServerError,
    409: ServerError,
    410: ModelUnknown,
    413: ContextTooLong,
    421: ServerError,
    425: ServerError,
    429: RateLimited,
    498: Overloaded,  # Groq: its flex tier is full
    499: ServerError,  # Gemini: CANCELLED, by itself
    503: Overloaded,
    529: Overloaded,  # Anthropic
}

#: Google's names for a status, and OpenAI's, where an error names no number
STATUS_NAMES: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "authentication_error": 401,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 529,
    "api_error": 500,
    "timeout_error": 504,
    "server_error": 500,
    "internal_server_error": 500,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
}

#: how OpenAI, Anthropic, Gemini, DeepSeek, Groq, Mistral, xAI, Bedrock, vLLM, llama.cpp and Ollama say that a request
#: is too long
TOO_LONG = re.compile(
    r"context.?(length|window)|maximum.{0,20}context|(prompt|input) is too long|exceeds? (the )?(available )?context"
    r"|maximum prompt length|token count.{0,40}(exceeds|only supports)|reduce the length",
    re.IGNORECASE,
)


#: how they say, with a 400, 403 or 404, that it is the account that has to be changed, not the request
ACCOUNT = re.compile(
    r"organi[sz]ation must be verified|verify (your )?organi[sz]ation|terms acceptance|accept the terms"
    r"|(do|does)( not|n't) have (the )?(access|permission)|no access to (this |the )?model|request access"
    r"|(model|access) .{0,40}not (been )?(enabled|activated|granted) (for|in|on) .{0,20}"
    r"(account|project|organi[sz]ation)"
    r"|(account|organi[sz]ation|project|workspace) (is|has been) .{0,20}(disabled|deactivated|suspended|restricted)",
    re.IGNORECASE,
)
#: … and that it has not paid
UNPAID = re.compile(
    r"insufficient (account )?(balance|funds|credits?)|credit balance is too low|(enable|activate|requires?) billing"
    r"|billing (is )?not (active|enabled)|payment (method|required)|account is in (good standing|arrears)"
    r"|(purchase|add) (more )?credits|not enough credits",
    re.IGNORECASE,
)
#: … and that the model is there no more, or never was
GONE = re.compile(
    r"\bmodel\b[^:;]{0,80}\b(has been|was|is) (now )?(retired|decommissioned|discontinued|shut ?down|removed)"
    r"|\bmodel\b[^:;]{0,80}\b(does not exist|no longer (available|supported|exists|served))"
    r"|provided model identifier is invalid|model.{0,40} reached (the|its) end of (its )?life",
    re.IGNORECASE,
)
#: a lack that some servers (llama.cpp) tell as a failure of theirs
LACK = re.compile(
    r"(image|audio|file|video|vision|tool|function).{0,40}(not |un)support"
    r"|(not |un)support(ed)?.{0,20} (image|audio|video|tool)",
    re.IGNORECASE,
)
#: OpenAI's models that reason
SPENT = re.compile(r"could not finish the message because max_tokens", re.IGNORECASE)

#: OpenAI's name for any text beyond its limit: of a message, but of an id or a name as well
TOO_LONG_TEXT = "string_above_max_length"

#: what names or phrases mean
Meanings = Mapping[type[ProviderError], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Problem:
    """An error body, whatever its shape."""

    message: str
    #: the provider's own names for it, most telling first: code, type, status, reasons
    names: tuple[str, ...] = ()
    #: the delay the body asks for before the next try
    retry_after_s: float | None = None
    #: the HTTP status that the body itself names as its code
    status: int | None = None
    #: the field of the request that is at fault, as the provider names it
    param: str | None = None

    @property
    def code(self) -> str | None:
        return self.names[0] if self.names else None

    def named(self, *names: str) -> bool:
        return not set(names).isdisjoint(self.names)

    def says(self, *phrases: str) -> bool:
        message = self.message.lower()
        return any(phrase in message for phrase in phrases)

    def meaning(self, named: Meanings, said: Meanings) -> type[ProviderError] | None:
        """By its words, which say more than a name that many problems share, else by its names."""
        by_words = next((kind for kind, phrases in said.items() if self.says(*phrases)), None)
        return by_words or next((kind for kind, names in named.items() if self.named(*names)), None)


def read(body: bytes) -> Problem:
    """Any bytes. Knows {"error": {…}}, {"error": "…"}, [{"error": …}], {"detail": …}, {"message": …}, text."""
    try:
        document = _json(body)
    except ValueError:
        return Problem(_plain_text(body))
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return Problem(_plain_text(body))
    error = _error_of(document)
    if not isinstance(error, dict):
        return Problem(str(error)[:MESSAGE])
    message = error.get("message") or error.get("detail") or error.get("msg") or error.get("status_msg") or ""
    details = [detail for detail in _list(error.get("details")) if isinstance(detail, dict)]
    names = (error.get("code"), error.get("type"), error.get("status"), *(d.get("reason") for d in details))
    behind = _behind(error)
    return Problem(
        message=f"{message}: {behind.message}"[:MESSAGE] if behind.message else str(message)[:MESSAGE],
        names=(*(name for name in names if isinstance(name, str) and name), *behind.names),
        retry_after_s=delay_in(details, str(message)),
        status=next(filter(None, (_status(error.get(name)) for name in ("code", "status", "status_code"))), None)
        or next((STATUS_NAMES[name] for name in names if isinstance(name, str) and name in STATUS_NAMES), None),
        param=_param(error.get("param")) or behind.param,
    )


def _error_of(document: Mapping[str, Any]) -> object:
    """`errors` is a list; `base_resp` is MiniMax's, and is there in an answer too."""
    errors = document.get("errors")
    several = errors[0] if isinstance(errors, list) and errors else errors
    return document.get("error") or document.get("detail") or several or document.get("base_resp") or document


def _behind(error: Mapping[str, Any]) -> Problem:
    """What a router (OpenRouter) quotes of the provider behind it: {"metadata": {"raw": "{…}"}}."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return read(raw.encode("utf-8", "replace")) if isinstance(raw, str) and raw else Problem("")


def _json(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:  # perhaps half a surrogate pair in the message
        marked = from_json(surrogates.marked(body))
    return _whole(surrogates.unmarked(marked))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return surrogates.whole(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return {_whole(key): _whole(each) for key, each in value.items()} if isinstance(value, dict) else value


def _status(code: object) -> int | None:
    number = int(code) if isinstance(code, str) and re.fullmatch("[45][0-9][0-9]", code) else code
    return number if type(number) is int and 400 <= number < 600 else None


def _param(value: object) -> str | None:
    return value[:PARAM] if isinstance(value, str) and value else None


def by_status(status: int, problem: Problem) -> type[ProviderError]:
    """The class that an HTTP status means where nothing in the body says otherwise."""
    if status in (NO_STATUS, 400, 413, 422) and TOO_LONG.search(problem.message):
        return ContextTooLong
    if status in (NO_STATUS, 400, 402, 403, 404, 422) and (kind := _of_the_account(problem)):
        return kind
    if status == 400 and SPENT.search(problem.message):
        return LimitSpent
    if status >= 500 and LACK.search(problem.message):
        return BadRequest
    fallback = BadRequest if 400 <= status < 500 else ServerError
    return STATUS.get(status, fallback)


def _of_the_account(problem: Problem) -> type[ProviderError] | None:
    if UNPAID.search(problem.message):
        return OutOfCredit
    if ACCOUNT.search(problem.message):
        return AccountProblem
    return ModelUnknown if GONE.search(problem.message) else None


def raised(
    kind: type[ProviderError], status: int, problem: Problem, headers: Mapping[str, str], now: datetime
) -> ProviderError:
    """The error to raise. `now`, aware, is what a Retry-After date is measured from."""
    hint = f" (to {headers.get('location')}; base_url is wrong?)" if 300 <= status < 400 else ""
    error = kind(
        problem.message or f"the provider answered HTTP {status}{hint}",
        status_code=status,
        retry_after_s=retry_after_s(headers, problem.retry_after_s, now),
        provider_code=problem.code,
    )
    error.quotes = bool(problem.message or hint)
    if kind is BadRequest and problem.param is not None and problem.named(TOO_LONG_TEXT):
        error.field = problem.param
        if problem.param not in error.message:
            error.args = (f"{problem.param}: {error.message}",)
    return error


def _list(value: object) -> Iterator[object]:
    return iter(value) if isinstance(value, list) else iter(())


def _plain_text(body: bytes) -> str:
    """The message of a body that is not JSON; nothing of a page made for browsers."""
    text = body[: 4 * MESSAGE].decode("utf-8", errors="replace").strip()
    return "" if text.startswith("<") else text[:MESSAGE]
