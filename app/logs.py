"""Structured logs: JSON in production, readable on a terminal. Ids and numbers, never prompts or keys.

While a server is away, dozens of places say so, several times a second: of each cause a process says one line a
minute, with how many it left out, and no traceback.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog

#: s between two lines of one cause
EVERY_S = 60.0

#: by cause: what is said where a server is away, frozen or full; by us, by its client, by Celery
_CAUSES = {
    "postgres": re.compile(r"postgresql|psycopg2|server closed the connection|connection to server", re.IGNORECASE),
    "redis": re.compile(
        r"\bredis\b|closed by server|error (\d+ connecting|while reading|while writing)|reading from socket"
        r"|connecting to server|not allowed when used memory|MISCONF"
        r"|to (the )?broker|pidbox|apply scheduled task|couldn't (ack|reject)",
        re.IGNORECASE,
    ),
}
#: packages whose errors of the connection are those of a server that is away
_CLIENTS = {"redis", "kombu", "amqp", "celery"}
_LOST = re.compile(r"Operational|Connection|Timeout|Interface|OutOfMemory|BusyLoading")


def configure(log_format: str, level: str) -> None:
    """Route structlog and the standard library through one formatter to stdout."""
    shared: list[structlog.typing.Processor] = [
        _without_nothing,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if log_format == "json" else "%H:%M:%S", utc=log_format == "json"),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, pad_level=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            _with_untold,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    handler.addFilter(OncePerCause())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)  # one line per task is not news
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    logging.getLogger("celery.beat").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _without_nothing(
    logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What is not known is left out, rather than said to be None."""
    return {key: value for key, value in event.items() if value is not None}


class OncePerCause(logging.Filter):
    """Lets one line of each cause through in EVERY_S; it says how many were left out before it.

    Errors of our own that tell of different things are different causes; that a process cannot go on is always said.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        #: by cause: when it was last said, and how many lines were left out since
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or (cause := _cause(record)) is None:
            return True
        _shorten(record)
        if record.levelno >= logging.CRITICAL and (isinstance(record.msg, dict) or "Unrecoverable" in record.msg):
            return True
        now_s = self._clock()
        with self._lock:
            said_s, untold = self._said.get(cause, (-EVERY_S, 0))
            if now_s - said_s < EVERY_S:
                self._said[cause] = said_s, untold + 1
                return False
            self._said[cause] = now_s, 0
        vars(record)["untold"] = untold
        return True


def _cause(record: logging.LogRecord) -> str | None:
    """Which server is away, as this line tells; None: it tells of something else."""
    text = _text(record)
    for cause, told in _CAUSES.items():
        if told.search(text):
            ours: Any = record.msg
            if isinstance(ours, dict) and record.levelno >= logging.ERROR:
                return f"{cause}: {ours['event']}"
            return cause
    return "redis" if any(_is_lost(error) for error in _chain(record)) else None


def _text(record: logging.LogRecord) -> str:
    """What it says, without what else stands in it: ids may hold any word."""
    if isinstance(record.msg, dict):
        return " ".join(str(record.msg.get(name, "")) for name in ("event", "reason", "problem"))
    return record.getMessage()


def _chain(record: logging.LogRecord) -> Iterator[BaseException]:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_lost(error: BaseException) -> bool:
    kind = type(error)
    return kind.__module__.partition(".")[0] in _CLIENTS and _LOST.search(kind.__name__) is not None


def _shorten(record: logging.LogRecord) -> None:
    """To one line: an expected fault needs no traceback, and Celery prints lists of frames."""
    if not isinstance(record.msg, dict):
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    record.exc_info = record.exc_text = None


def _with_untold(
    logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    untold = getattr(event.get("_record"), "untold", 0)
    return {**event, "untold": untold} if untold else event
