"""Providers over HTTP."""

from core.http.client import HttpClient
from core.http.guard import OutboundGuard
from core.http.headers import header_block
from core.http.origin import Origin
from services.inference.ports import Client, Endpoint


class HttpClientFactory:
    """Makes the clients of providers, all behind one outbound guard."""

    def __init__(self, guard: OutboundGuard, *, max_connections: int, max_response_bytes: int) -> None:
        self._guard = guard
        self._max_connections = max_connections
        self._max_response_bytes = max_response_bytes

    def __call__(self, endpoint: Endpoint) -> Client:
        """The Connect of the ports. Raises InvalidInput."""
        origin = Origin.parse(endpoint.url)
        upstream = HttpClient(
            origin,
            self._guard,
            max_connections=self._max_connections,
            max_response_bytes=self._max_response_bytes,
        )
        headers = {"Content-Type": "application/json", "User-Agent": "portico", **dict(endpoint.headers)}
        return Client(upstream, header_block(origin, headers))
