"""TLS between Portico's parts: the settings, and gRPC between a server and a channel that both show a certificate."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from core import config
from core.config import ConfigError
from core.health import Health
from core.rpc import tls
from core.rpc.channel import open_channel
from core.rpc.server import bind, make_health_server
from core.tls import TlsSettings
from tests.support.tls import make_authority

NAMES = ("PORTICO_TLS_CERT_FILE", "PORTICO_TLS_KEY_FILE", "PORTICO_TLS_CA_FILE")


def settings(folder: Path) -> TlsSettings:
    authority = make_authority(folder)
    files = (authority.ca_file, authority.key_file, authority.ca_file)
    return config.load(TlsSettings, dict(zip(NAMES, map(str, files), strict=True)))


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[None]:
    tls.configure(settings(tmp_path).identity)
    yield
    tls.configure(None)


async def test_parts_with_certificates_reach_each_other(identity: None) -> None:
    health = Health()
    server = make_health_server(health)
    port = bind(server, "127.0.0.1:0")
    await health.start()
    await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as stranger:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await health_pb2_grpc.HealthStub(stranger).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    finally:
        await server.stop(None)


async def test_a_client_without_a_certificate_is_refused(identity: None, tmp_path: Path) -> None:
    server = make_health_server(Health())
    port = bind(server, "127.0.0.1:0")
    await server.start()
    trusting = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
    try:
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", trusting) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    finally:
        await server.stop(None)


def test_without_files_there_is_no_tls() -> None:
    assert config.load(TlsSettings, {}).identity is None


def test_a_part_of_the_files_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be set together"):
        config.load(TlsSettings, {"PORTICO_TLS_CERT_FILE": "tls.crt"})


def test_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        config.load(TlsSettings, dict.fromkeys(NAMES, str(tmp_path / "nothing")))
