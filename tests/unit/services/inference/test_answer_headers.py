"""A provider's headers for the time to come back and for its limits."""

import time
from email.utils import formatdate

import pytest

from services.inference.domain.codecs.headers import forbids_retry, rate_limits, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({b"retry-after": b"7"}, 7.0),
        ({b"retry-after": b"0.5"}, 0.5),
        ({b"retry-after-ms": b"250"}, 0.25),
        ({b"retry-after-ms": b"250", b"retry-after": b"1"}, 0.25),
        ({b"retry-after-ms": b"soon", b"retry-after": b"1"}, 1.0),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"nan"}, None),
        ({b"retry-after": b"inf"}, None),
        ({b"retry-after": b"99999999"}, None),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"\xff"}, None),
        ({b"retry-after": b"Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({b"retry-after": b"Thu, 99 Jan 1970 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_when_to_come_back(headers: dict[bytes, bytes], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_a_date_says_it_too(zone: str) -> None:
    """aisix#144: Retry-After may be an HTTP date (RFC 9110), which was ignored."""
    date = formatdate(time.time() + 90, usegmt=True).replace("GMT", zone)
    seconds = retry_after({b"retry-after": date.encode()})
    assert seconds is not None
    assert 80 < seconds <= 90


def test_limits_are_passed_on_as_they_are() -> None:
    headers = {
        b"content-type": b"application/json",
        b"x-ratelimit-limit-requests": b"10000",
        b"x-ratelimit-reset-tokens": b"6m0s",
        b"x-ratelimit-evil": b"a\x00b",
        b"x-ratelimit-long": b"a" * 500,
        b"x-ratelimit-blank": b"",
        b"x-request-id": b"r",
    }
    assert rate_limits(headers) == (("x-ratelimit-limit-requests", "10000"), ("x-ratelimit-reset-tokens", "6m0s"))
    assert len(rate_limits({b"x-ratelimit-%d" % at: b"1" for at in range(100)})) == 16
    assert rate_limits({}) == ()


def test_a_provider_may_forbid_another_attempt() -> None:
    assert forbids_retry({b"x-should-retry": b"false"})
    assert not forbids_retry({b"x-should-retry": b"true"})
    assert not forbids_retry({})
