"""Headers that only the edge may set, and the proof that a call comes from the edge. On real servers and
connections."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.config import Secret
from tests.support.http1_channel import Http1Channel
from tests.support.rpc_harness import KEYS, SECONDS, Harness, Servicers, serving
from tests.support.serving import connect

SECRET = "e" * 32
FORGED = (("x-client-address", "198.51.100.7"), ("x-portico-rest", "1"))


@pytest.fixture
def servicers() -> Servicers:
    return Servicers()


@pytest.fixture
async def harness(servicers: Servicers) -> AsyncIterator[Harness]:
    async with serving(servicers.auth(), edge_secret=Secret(SECRET)) as started:
        yield started


@pytest.fixture(params=["http2", "http1"])
async def channel(request: pytest.FixtureRequest, harness: Harness) -> AsyncIterator[Any]:
    if request.param == "http1":
        yield Http1Channel(harness.edge_port)
        return
    async with connect(harness.port) as opened:
        yield opened


async def test_the_edge_is_believed(channel: Any, servicers: Servicers) -> None:
    await channel.unary_unary(KEYS)(b"", metadata=(*FORGED, ("x-portico-edge", SECRET)), timeout=SECONDS)
    assert servicers.seen == ["198.51.100.7"]


@pytest.mark.parametrize("secret", [None, "", "-", "e" * 31, "e" * 33, "E" * 32])
async def test_nobody_else_is_believed(channel: Any, servicers: Servicers, secret: str | None) -> None:
    """A forged x-client-address lifted the limits of signing in and stood in the audit log."""
    proof = () if secret is None else (("x-portico-edge", secret),)
    await channel.unary_unary(KEYS)(b"", metadata=(*FORGED, *proof), timeout=SECONDS)
    assert servicers.seen == ["127.0.0.1"]


async def test_a_secret_that_is_no_ascii_is_just_wrong(harness: Harness, servicers: Servicers) -> None:
    """The comparison takes bytes: of texts it raises for these."""
    call = Http1Channel(harness.edge_port).unary_unary(KEYS)
    await call(b"", metadata=(*FORGED, ("x-portico-edge", "é" * 32)), timeout=SECONDS)
    assert servicers.seen == ["127.0.0.1"]


@pytest.mark.parametrize("given", ["", "-", SECRET])
async def test_without_a_secret_nobody_is_believed(servicers: Servicers, given: str) -> None:
    async with serving(servicers.auth()) as harness:
        call = Http1Channel(harness.edge_port).unary_unary(KEYS)
        await call(b"", metadata=(*FORGED, ("x-portico-edge", given)), timeout=SECONDS)
    assert servicers.seen == ["127.0.0.1"]
