"""Error reports of providers, in any of their forms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MESSAGES = ("message", "detail", "msg", "error_msg", "error_description", "title")
"""Fields that hold the text of an error, the best one first."""
_CODES = ("code", "error_code", "type", "status")
"""Fields that hold its short name."""
_STATUSES = ("code", "status", "status_code", "http_status")
"""Fields that may hold an HTTP status."""
_KNOWN = frozenset({*_MESSAGES, "code", "type", "param", "error", "object"})

_STATUS_OF: dict[str, int] = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "bad_request": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "authentication_error": 401,
    "authenticationerror": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "unauthorized": 401,
    "insufficient_credits": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "forbidden": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "notfounderror": 404,
    "not_found": 404,
    "request_too_large": 413,
    "unprocessableentityerror": 422,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "ratelimiterror": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "billing_hard_limit_reached": 429,
    "server_error": 500,
    "internal_server_error": 500,
    "internalservererror": 500,
    "internal": 500,
    "api_error": 500,
    "unavailable_error": 503,
    "service_unavailable": 503,
    "unavailable": 503,
    "deadline_exceeded": 504,
    "timeout_error": 504,
    "overloaded_error": 529,
    "overloaded": 529,
}
"""The HTTP status that a code or type of OpenAI, vLLM, llama.cpp, Google or Anthropic stands for."""

_SECONDS = re.compile(r"(\d{1,5}(?:\.\d{1,9})?)s")
_MAX_TEXT = 16_000
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Report:
    """An error as a provider reports it. Empty: not said."""

    message: str = ""
    code: str = ""
    """The short name, as OpenAI's `code`."""
    param: str = ""
    names: frozenset[str] = frozenset()
    """Code, type and status in lower case: whatever may say what kind of error it is."""
    status: int = 0
    """An HTTP status that the report names or that its code stands for."""
    retry_after: float | None = None
    """Seconds."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Its other fields."""


NOTHING = Report()


def report_of(answer: object) -> Report | None:
    """The error in an answer that is not a success, or lacks what every answer has: any message there is one."""
    if found := report_in(answer):
        return found
    if not isinstance(answer, dict):
        return None
    return report_in(answer.get("detail")) or (_read(answer) if _message(answer) else None)


def report_in(answer: object) -> Report | None:
    """The error that an answer calls one, whatever its status: `error`, `errors`, `choices[].error`, `object` or `type`
    "error", all that also within a list. None where there is none."""
    if isinstance(answer, list):
        return next((found for each in answer if isinstance(each, dict) and (found := report_in(each))), None)
    if not isinstance(answer, dict):
        return None
    if _says_something(error := answer.get("error")):
        return _stated(error, answer)
    if "error" in (answer.get("object"), answer.get("type")):
        return _read(answer)
    choices, errors = answer.get("choices"), answer.get("errors")
    if isinstance(errors, list) and errors and not choices:
        return _stated(errors[0], answer)
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and _says_something(error := choice.get("error")):
            return _stated(error, {})
    return None


def report_from(error: object) -> Report:
    """The error that a value is as a whole."""
    return report_in(error) or _stated(error, {})


def text_report(text: str) -> Report:
    """An error that is no JSON."""
    return Report(message=text[:_MAX_TEXT])


def _says_something(error: object) -> bool:
    return any(error.values()) if isinstance(error, dict) else bool(error)


def _stated(error: object, around: Mapping[str, Any]) -> Report:
    """`error` in any form; what stands around it may say the rest."""
    if isinstance(error, list):
        error = error[0] if error else None
    if isinstance(error, dict):
        inner = error.get("error")
        if isinstance(inner, dict) and not _message(error):
            error = inner
        more = {name: value for name, value in error.items() if name not in _KNOWN and value}
        return _read({**around, **error}, more)
    text = error if isinstance(error, str) else ""
    return _read({"code": text, **around} if _message(around) else {**around, "message": text})


def _read(error: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> Report:
    names = [value.lower() for name in _CODES if isinstance(value := error.get(name), str) and value]
    code, param = error.get("code"), error.get("param")
    return Report(
        message=_message(error)[:_MAX_TEXT],
        code=code if isinstance(code, str) else "",
        param=param if isinstance(param, str) else _location(error.get("detail")),
        names=frozenset(names),
        status=_status(error, names),
        retry_after=_retry_after(error.get("details")),
        more=more or {},
    )


def _status(error: Mapping[str, Any], names: list[str]) -> int:
    for name in _STATUSES:
        value = error.get(name)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if type(value) is int and 400 <= value <= 599:
            return value
    return next((_STATUS_OF[name] for name in names if name in _STATUS_OF), 0)


def _message(error: Mapping[str, Any], depth: int = 0) -> str:
    """The text, of whatever form it is: FastAPI lists what is wrong where, Mistral nests that in the message."""
    for name in _MESSAGES:
        if text := _text(error.get(name), depth):
            return text
    return ""


def _text(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return "; ".join(text for each in value[:16] if (text := _text(each, depth + 1)))
    if isinstance(value, dict):
        text = _message(value, depth + 1)
        return f"{where}: {text}" if text and (where := _field_path(value.get("loc"))) else text
    return ""


def _field_path(loc: object) -> str:
    """FastAPI's ("body", "messages", 0) as messages.0."""
    if not isinstance(loc, list):
        return ""
    return ".".join(str(each) for each in loc[:16] if each != "body")[:128]


def _location(detail: object) -> str:
    """The field that the first of FastAPI's details is about."""
    first = detail[0] if isinstance(detail, list) and detail else None
    return _field_path(first.get("loc")) if isinstance(first, dict) else ""


def _retry_after(details: object) -> float | None:
    """Google's RetryInfo."""
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (found := _SECONDS.fullmatch(delay)):
            return float(found[1])
    return None
