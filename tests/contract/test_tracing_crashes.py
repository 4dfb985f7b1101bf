"""The tracing service as a process that is killed, or stopped, while eight exporters send."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from portico.tracing.v1 import session_service_pb2 as pb
from portico.tracing.v1 import session_service_pb2_grpc
from tests.support.ports import reserved_port
from tests.support.serving import environment
from tests.support.spans import request, span
from tests.support.tokens import Signer

ROOT = Path(__file__).parents[2]
EXPORTERS = 8
SPANS = 50
TOKENS = 3


class Service:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = Signer()
        self.key = folder / "key.pem"
        self.key.write_bytes(
            self.signer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        self.process: Process | None = None

    @asynccontextmanager
    async def run(self) -> AsyncIterator[grpc.aio.Channel]:
        """A connection to a fresh process, which is killed at the end."""
        address = f"127.0.0.1:{reserved_port()}"
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.tracing_process", self.signer.key_id, str(self.key),
            cwd=ROOT, stdin=DEVNULL,
            env={**os.environ, **environment(self.folder / "data"), "PORTICO_LISTEN": address, "LOG_LEVEL": "error"},
        )  # fmt: skip
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                async with asyncio.timeout(60):
                    await channel.channel_ready()
                yield channel
        finally:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()

    @property
    def bearer(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.signer.token()}"),)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


async def export(service: Service, channel: Any, exporter: int, acknowledged: dict[str, int]) -> None:
    """Send until the service is gone. Each trace comes in parts, and its root in the last one."""
    stub = trace_service_pb2_grpc.TraceServiceStub(channel)
    for turn in range(10_000):
        trace = f"{exporter + 1:016x}{turn // 4:016x}"
        first = turn % 4 * SPANS + 1
        spans = [
            span(
                id,
                parent=1 if id > 1 else 0,
                trace=trace,
                gen_ai__request__model="m",
                gen_ai__usage__input_tokens=TOKENS,
            )
            for id in range(first, first + SPANS)
        ]
        try:
            await stub.Export(request(*reversed(spans)), metadata=service.bearer, timeout=30)
        except grpc.aio.AioRpcError:
            return
        acknowledged[trace] = acknowledged.get(trace, 0) + SPANS


async def stored(service: Service, channel: Any) -> dict[str, tuple[int, float, int]]:
    """By trace: the events and tokens that the session says, and the events that there are."""
    stub = session_service_pb2_grpc.SessionServiceStub(channel)
    found: dict[str, tuple[int, float, int]] = {}
    token = ""
    while True:
        page = await stub.ListSessions(pb.ListSessionsRequest(page_size=200, page_token=token), metadata=service.bearer)
        for session in page.sessions:
            asked = pb.ListEventsRequest(session_id=session.session_id, page_size=1000)
            events = (await stub.ListEvents(asked, metadata=service.bearer)).events
            totals = session.totals
            found[session.trace_id] = (totals.events, totals.input_tokens, len({event.id for event in events}))
        if not (token := page.next_page_token):
            return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_what_was_acknowledged_is_there_and_the_totals_are_exact(
    service: Service, number: signal.Signals
) -> None:
    acknowledged: dict[str, int] = {}
    async with service.run() as channel:
        exporting = [asyncio.create_task(export(service, channel, each, acknowledged)) for each in range(EXPORTERS)]
        async with asyncio.timeout(60):
            while sum(acknowledged.values()) < 4_000:
                await asyncio.sleep(0.01)
        assert service.process is not None
        service.process.send_signal(number)
        await asyncio.gather(*exporting)
        code = await service.process.wait()
    assert code == (0 if number is signal.SIGTERM else -signal.SIGKILL)
    async with service.run() as channel:
        found = await stored(service, channel)
    for trace, count in acknowledged.items():
        assert found[trace][2] >= count
    assert all(said == events and tokens == TOKENS * events for said, tokens, events in found.values())
