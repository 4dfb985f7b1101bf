"""The upstream client with what every request of a test has alike already said."""

from collections.abc import Awaitable, Callable
from typing import Any

from core.http.client import HttpClient
from core.http.guard import OutboundGuard
from core.http.headers import header_block
from core.http.origin import Origin
from core.http.ports import Response
from core.http.stream import StreamedResponse


class ShortClient(HttpClient):
    """`options` are those of HttpClient and of its requests."""

    def __init__(self, url: str, guard: OutboundGuard, **options: Any) -> None:
        super().__init__(Origin.parse(url), guard, **options)
        self._headers = header_block(self.origin, {"Content-Type": "application/json"})

    def ask(self, body: bytes = b"{}", **options: Any) -> Awaitable[Response]:
        return self.post(b"/v1/chat", self._headers, body, **options)

    def listen(self, **options: Any) -> Awaitable[StreamedResponse]:
        return self.stream(b"/v1/chat", self._headers, b"{}", **options)


Connect = Callable[..., ShortClient]
"""connect(upstream, **options): a client that the test need not close."""
