"""Places for calls: nobody takes all of them, and each is given back. On real servers and connections."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from portico.rag.v1 import file_service_pb2_grpc
from tests.support.http2_client import frame, http2
from tests.support.inference_harness import reason_of
from tests.support.rpc_harness import EMBED, KEYS, SECONDS, TOKENS, C, Servicers, refusal, serving, unknown_field
from tests.support.serving import connect


@pytest.fixture
def servicers() -> Servicers:
    return Servicers()


async def test_a_tenant_whose_calls_hang_leaves_places_for_others(servicers: Servicers) -> None:
    """42 uploads of one tenant that hung took all 40 places, and everybody else had 503."""
    servicers.hold = asyncio.Event()
    async with serving(servicers.files(), limit=40) as harness, http2(harness.port) as client:
        path = "/portico.rag.v1.FileService/UploadFile"
        streams = [client.start(path, harness.bearer(tenant="acme")) for _ in range(42)]
        async with asyncio.timeout(SECONDS):
            refused = [await client.answer(stream) for stream in streams[30:]]
        assert {stream.code for stream in refused} == {C.RESOURCE_EXHAUSTED.value[0]}
        assert harness.load.in_flight == 30
        servicers.hold.set()
        async with connect(harness.port) as channel:
            upload = file_service_pb2_grpc.FileServiceStub(channel).UploadFile
            error = await refusal(upload(iter(()), metadata=harness.bearer(tenant="acme"), timeout=SECONDS))
            assert error.code() is C.RESOURCE_EXHAUSTED
            assert reason_of(error) == "TENANT_SHARE_EXCEEDED"
            assert _retry_after(error) == 1.0
            await upload(iter(()), metadata=harness.bearer(tenant="globex"), timeout=SECONDS)
            for stream in streams:
                client.reset(stream)
            async with asyncio.timeout(SECONDS):
                while harness.load.in_flight:
                    await asyncio.sleep(0.01)
            await upload(iter(()), metadata=harness.bearer(tenant="acme"), timeout=SECONDS)


async def test_an_address_without_a_token_leaves_places_for_tokens(servicers: Servicers) -> None:
    async with serving(servicers.auth(), limit=40) as harness, http2(harness.port) as client:
        streams = [client.start(KEYS) for _ in range(40)]
        async with asyncio.timeout(SECONDS):
            refused = [await client.answer(stream) for stream in streams[10:]]
        assert {stream.code for stream in refused} == {C.RESOURCE_EXHAUSTED.value[0]}
        async with connect(harness.port) as channel:
            error = await refusal(channel.unary_unary(KEYS)(b"", timeout=SECONDS))
            assert reason_of(error) == "ADDRESS_SHARE_EXCEEDED"
            await channel.unary_unary(TOKENS)(b"", metadata=harness.bearer(), timeout=SECONDS)


async def test_calls_that_are_left_at_any_moment_are_counted_no_more(servicers: Servicers) -> None:
    servicers.hold = asyncio.Event()
    async with serving(servicers.openai()) as harness, http2(harness.port) as client:
        whole = frame(unknown_field(50_000))
        for step in range(30):
            stream = client.start(EMBED, harness.bearer())
            sending = asyncio.create_task(client.send(stream, whole[: step * 2000], end=step % 2 == 0))
            await asyncio.sleep(step / 5000)
            sending.cancel()
            client.reset(stream)
        async with asyncio.timeout(SECONDS):
            while harness.load.in_flight:
                await asyncio.sleep(0.01)


def _retry_after(error: grpc.aio.AioRpcError) -> float:
    retry = error_details_pb2.RetryInfo()
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert any(detail.Unpack(retry) for detail in status.details)
    return float(retry.retry_delay.ToMilliseconds() / 1000)
