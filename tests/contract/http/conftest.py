"""Every asynchronous test of the client runs on both loops: the transports of the two differ in what they report."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
import uvloop

from core.http.guard import OutboundGuard
from tests.support.fake_upstream import FakeUpstream
from tests.support.short_client import Connect, ShortClient


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[ShortClient] = []

    def new(upstream: FakeUpstream, guard: OutboundGuard | None = None, **options: Any) -> ShortClient:
        clients.append(ShortClient(upstream.url, guard or OutboundGuard(enabled=False), **options))
        return clients[-1]

    yield new
    for client in clients:
        await asyncio.wait_for(client.close(), 5)


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An exception in a callback, or one that nobody retrieved, is only logged by the loop: here it fails the test."""
    yield
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
