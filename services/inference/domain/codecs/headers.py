"""The headers of a provider's answer: when to retry, and its rate limits."""

import re
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

Headers = Mapping[bytes, bytes]
"""Names in lower case."""

Pairs = tuple[tuple[str, str], ...]

_LONGEST_WAIT = 86400.0
_LIMITS = (b"x-ratelimit-", b"anthropic-ratelimit-")
_IN_ALL_LIMITS = b"-ratelimit-"
_MOST_LIMITS = 16
_NAME = re.compile(rb"[a-z0-9-]{1,64}")
_VALUE = re.compile(rb"[!-~](?:[ -~]{0,126}[!-~])?")


def retry_after(headers: Headers) -> float | None:
    """Seconds, from `retry-after-ms` or `Retry-After`, which may be a date. None where neither says anything usable."""
    if (milliseconds := _number(headers.get(b"retry-after-ms"))) is not None:
        return _wait(milliseconds / 1000)
    said = headers.get(b"retry-after")
    if said is None:
        return None
    seconds = _number(said)
    return _wait(_seconds_until(said) if seconds is None else seconds)


def forbids_retry(headers: Headers) -> bool:
    return headers.get(b"x-should-retry", b"").lower() == b"false"


def rate_limits(headers: Headers) -> Pairs:
    """The `x-ratelimit-*` and `anthropic-ratelimit-*` headers that can be passed on."""
    if _IN_ALL_LIMITS not in b" ".join(headers):  # nearly always
        return ()
    names = [name for name in headers if name.startswith(_LIMITS)][:_MOST_LIMITS]
    fit = [name for name in names if _NAME.fullmatch(name) and _VALUE.fullmatch(headers[name])]
    return tuple((name.decode(), headers[name].decode()) for name in fit)


def _number(text: bytes | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _seconds_until(date: bytes) -> float | None:
    try:
        moment = parsedate_to_datetime(date.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return None
    if moment.tzinfo is None:  # "-0000", which says nothing of the zone; HTTP's dates are all in GMT
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())


def _wait(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds <= _LONGEST_WAIT else None
