"""Errors of the transport to a provider. No message names a host or an address: they reach the API's caller.

Unavailable
├── TransportFailed      no connection, or it broke; worth another attempt
│   └── AddressRefused   the host has no address, or one that the outbound guard forbids: one answer for both
└── ConnectionsBusy      every connection of the client is in use
DeadlineExceeded
└── UpstreamTimeout      the provider was too slow; the caller's own deadline is a plain DeadlineExceeded
UpstreamFailed
└── BadResponse          the provider's answer is not HTTP as we accept it
"""

from core.errors import DeadlineExceeded, Unavailable, UpstreamFailed


class TransportFailed(Unavailable):
    """`sent` is True when the request may have reached the provider, who may have acted on it."""

    default_reason = "UPSTREAM_UNREACHABLE"

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class AddressRefused(TransportFailed):
    """A name that has no address fails like one with a forbidden address, and is retried like one: the difference would
    tell which internal names exist."""

    default_reason = "UPSTREAM_ADDRESS_REFUSED"

    def __init__(self) -> None:
        super().__init__("The provider's host has no address that this service may connect to.", sent=False)


class ConnectionsBusy(Unavailable):
    default_reason = "UPSTREAM_BUSY"


class UpstreamTimeout(DeadlineExceeded):
    """`sent` as in TransportFailed."""

    default_reason = "UPSTREAM_TIMEOUT"

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class BadResponse(UpstreamFailed):
    default_reason = "UPSTREAM_BAD_RESPONSE"
