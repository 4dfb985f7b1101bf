"""Structured logs on stdout: events with fields, JSON or pretty, the request's context on every line.

    log = logs.get(__name__)
    log.info("call finished", method=method, code=code, ms=ms)

Fields whose names speak of secrets are masked at any depth, and so are texts that look like credentials. Still, never
log prompts, keys or bodies: the masks are a second net.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Literal, cast
from weakref import WeakSet

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from core import context
from core.config import setting

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "pretty"]

MASK = "***"
_TEXT_LIMIT = 2_000
_TRACEBACK_LIMIT = 16_000
_DEPTH_LIMIT = 100
_INT_LIMIT = 2**63

_SECRET_WORDS = frozenset(
    {"password", "passwd", "passphrase", "secret", "secrets", "authorization", "cookie", "cookies"}
    | {"credential", "credentials"}
)
_SECRET_ENDINGS = (
    *("_token", "_jwt", "_apikey", "_apikeys"),
    *(f"_{kind}_key{s}" for kind in ("api", "private", "access", "signing", "sealing") for s in ("", "s")),
)
"""Endings, because `token_id` and `prompt_tokens` are no secrets."""

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_SECRET_TEXT = re.compile(
    r"(?<![A-Za-z0-9])(?P<prefix>ptc_|sk-|eyJ|[Bb]earer\s+)[A-Za-z0-9._~+/=-]{4,}"  # tokens, providers' keys, JWTs
    r"|(?<=://)[^\s/@]+(?=@)"  # user:password@ in an address
)


@dataclass(frozen=True)
class LogSettings:
    """Logs"""

    level: Level = setting("PORTICO_LOG_LEVEL", default="info", help="Lines below this level are not written.")
    format: Format = setting("PORTICO_LOG_FORMAT", default="json", help="json for machines, pretty for people.")


def configure(service: str, level: Level = "info", format: Format = "json", *, stream: BinaryIO | None = None) -> None:
    """Set up this process's logs, those of the standard library included. `stream` is stdout unless given."""
    _sink.stream = stream or sys.stdout.buffer
    number = logging.getLevelNamesMapping()[level.upper()]
    _processors[:] = [
        _Origin(service),
        structlog.processors.format_exc_info,
        _redact,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _json if format == "json" else _pretty(colors=stream is None and sys.stdout.isatty()),
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _sink,
    )
    for logger in _loggers:
        logger.forget()
    # Drivers write statements and their values at DEBUG, so the standard library's loggers never go below INFO.
    logging.basicConfig(handlers=[_Forward()], level=max(number, logging.INFO), force=True)


def location_of(error: BaseException) -> str:
    """File and line where an exception was raised, for exceptions whose text came from outside and must not be
    logged."""
    location = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        location = f"{frame.f_code.co_filename.rpartition('/')[2]}:{line}"
    return location


def get(name: str) -> FilteringBoundLogger:
    """The logger of a module. May be called at import: it takes its set-up when it is used."""
    logger = _Logger(name)
    _loggers.add(logger)
    return cast(FilteringBoundLogger, logger)


class _Logger:
    """Looks each method up once, so that a line below the level costs one call of an empty function."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        found = getattr(structlog.get_logger(module=self._name).bind(), method)
        if _processors:  # before `configure` nothing is settled
            self.__dict__[method] = found
        return found

    def forget(self) -> None:
        self.__dict__ = {"_name": self._name}


class _Sink:
    """Writes finished lines. A closed or full stdout must not fail the request that had something to say."""

    stream: BinaryIO

    def msg(self, line: bytes) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            self.stream.write(line + b"\n")
            self.stream.flush()

    debug = info = warning = error = critical = exception = msg


_sink = _Sink()
_processors: list[Processor] = []
_loggers: WeakSet[_Logger] = WeakSet()


class _Forward(logging.Handler):
    """Sends the standard library's records down the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
            structlog.get_logger(module=record.name).log(level, record.getMessage(), exc_info=record.exc_info)
        except Exception:  # a record with wrong arguments; the library's own way to say so
            self.handleError(record)


class _Origin:
    """Adds the origin of an event: the service, and the request and caller of the current context."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        event["service"] = self._service
        if (request := context.current()) is not None:
            event["request_id"] = request.request_id
            if (caller := request.identity) is not None:
                event["tenant"] = caller.tenant.slug
                event["project"] = caller.project.id
                event["subject"] = caller.subject
            if (job := request.job) is not None:
                event["tenant"] = job.project.tenant.slug
                event["project"] = job.project.id
                event["job"], event["job_kind"] = job.id, job.kind
        return event


def _redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    traceback = event.pop("exception", None)
    clean: EventDict = _clean_mapping(event, ())
    if isinstance(traceback, str):
        clean["exception"] = masked(_unicode(traceback[-_TRACEBACK_LIMIT:]))  # the end names the error
    return clean


def _clean_mapping(items: Mapping[Any, Any], path: tuple[int, ...]) -> dict[str, Any]:
    return {
        name: MASK if _is_secret(name) else _clean(value, path)
        for name, value in ((_unicode(str(key)), value) for key, value in items.items())
    }


def _clean(value: object, path: tuple[int, ...]) -> object:
    """`value` as JSON can hold it, without secrets. `path` are the ids of what it lies in, against cycles."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -_INT_LIMIT <= value < _INT_LIMIT else str(value)
    if isinstance(value, str):
        return _clean_text(value)
    if id(value) in path or len(path) >= _DEPTH_LIMIT:
        return "..."
    inner = (*path, id(value))
    if isinstance(value, Mapping):
        return _clean_mapping(value, inner)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, inner) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _clean_mapping({item.name: getattr(value, item.name) for item in fields(value)}, inner)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    try:
        return _clean_text(repr(value) if isinstance(value, BaseException) else str(value))
    except Exception:  # whatever it raises when printed must not fail who wanted to log it
        return f"<{type(value).__name__}>"


def _clean_text(text: str) -> str:
    # Masking sees more than is kept, so that a secret across the border is still whole.
    clean = masked(_unicode(text[: 2 * _TEXT_LIMIT]))
    return clean if len(clean) <= _TEXT_LIMIT else f"{clean[:_TEXT_LIMIT]}... ({len(text)} characters)"


def masked(text: str) -> str:
    """The text with what looks like a credential masked."""
    return _SECRET_TEXT.sub(lambda found: f"{found['prefix'] or ''}{MASK}", text)


def _unicode(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold."""
    return text if text.isascii() else text.encode(errors="replace").decode()


@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    words = [word.lower() for word in _WORD_BORDER.split(key) if word]
    return not _SECRET_WORDS.isdisjoint(words) or f"_{'_'.join(words)}".endswith(_SECRET_ENDINGS)


def _json(_logger: object, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event)


def _pretty(*, colors: bool) -> Processor:
    render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)

    def pretty(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
        return render(logger, method, event).encode(errors="replace")

    return pretty
