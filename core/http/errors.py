"""What can go wrong between us and a provider. No message names a host or an address: they reach the API's caller.

Unavailable
├── TransportFailed      no connection, or it broke; worth another attempt
├── ConnectionsBusy      every connection of the client is in use
└── AddressRefused       the outbound guard forbids the address
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


class ConnectionsBusy(Unavailable):
    default_reason = "UPSTREAM_BUSY"


class AddressRefused(Unavailable):
    default_reason = "UPSTREAM_ADDRESS_REFUSED"


class UpstreamTimeout(DeadlineExceeded):
    """`sent` as in TransportFailed."""

    default_reason = "UPSTREAM_TIMEOUT"

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class BadResponse(UpstreamFailed):
    default_reason = "UPSTREAM_BAD_RESPONSE"
