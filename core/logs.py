"""Structured logs on stdout: events with fields, JSON or pretty, the request's context on every line.

    log = logs.get(__name__)
    log.info("call finished", method=method, code=code, ms=ms)

Fields whose names speak of secrets are masked at any depth, and so are texts that look like credentials. Still, never
log prompts, keys or bodies: the masks are a second net.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Literal, cast

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
    sink = _Sink(stream or sys.stdout.buffer)
    number = logging.getLevelNamesMapping()[level.upper()]
    _processors[:] = [
        _Origin(service),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
        _json if format == "json" else _pretty(colors=stream is None and sys.stdout.isatty()),
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    # Drivers write statements and their values at DEBUG, so the standard library's loggers never go below INFO.
    logging.basicConfig(handlers=[_Forward()], level=max(number, logging.INFO), force=True)


def get(name: str) -> FilteringBoundLogger:
    """The logger of a module. May be called at import: it takes its set-up when first used."""
    return cast(FilteringBoundLogger, structlog.get_logger(module=name))


_processors: list[Processor] = []
"""One list, changed in place: loggers keep the list they first saw."""


class _Sink:
    """Writes finished lines. A closed or full stdout must not fail the request that had something to say."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def msg(self, line: bytes) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line + b"\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = msg


class _Forward(logging.Handler):
    """Sends the standard library's records down the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
            get(record.name).log(level, record.getMessage(), exc_info=record.exc_info)
        except Exception:  # a record with wrong arguments; the library's own way to say so
            self.handleError(record)


class _Origin:
    """Adds who says it: the service, and the request and caller of the current context."""

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
        return event


def _redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    traceback = event.pop("exception", None)
    clean: EventDict = _clean_mapping(event, ())
    if isinstance(traceback, str):
        clean["exception"] = _mask_text(traceback[-_TRACEBACK_LIMIT:])  # the end names the error
    return clean


def _clean_mapping(items: Mapping[Any, Any], path: tuple[int, ...]) -> dict[str, Any]:
    return {str(key): MASK if _is_secret(str(key)) else _clean(value, path) for key, value in items.items()}


def _clean(value: object, path: tuple[int, ...]) -> object:
    """`value` as JSON can hold it, without secrets. `path` are the ids of what it lies in, against cycles."""
    if value is None or isinstance(value, bool | int | float):
        return value
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
    return _clean_text(repr(value) if isinstance(value, BaseException) else str(value))


def _clean_text(text: str) -> str:
    # Masking sees more than is kept, so that a secret across the border is still whole.
    masked = _mask_text(text[: 2 * _TEXT_LIMIT])
    return masked if len(masked) <= _TEXT_LIMIT else f"{masked[:_TEXT_LIMIT]}... ({len(text)} characters)"


def _mask_text(text: str) -> str:
    return _SECRET_TEXT.sub(lambda found: f"{found['prefix'] or ''}{MASK}", text)


@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    words = [word.lower() for word in _WORD_BORDER.split(key) if word]
    return not _SECRET_WORDS.isdisjoint(words) or f"_{'_'.join(words)}".endswith(_SECRET_ENDINGS)


def _json(_logger: object, _method: str, event: EventDict) -> bytes:
    try:
        return orjson.dumps(event)
    except TypeError:  # integers over 64 bits and lone surrogates, which the slower encoder can write
        return json.dumps(event).encode()


def _pretty(*, colors: bool) -> Processor:
    render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)

    def pretty(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
        return render(logger, method, event).encode(errors="replace")

    return pretty
