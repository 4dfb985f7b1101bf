"""TLS to a tenant's own server: the connection goes to the checked address, the certificate must prove the name."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from core.errors import PorticoError, Unavailable, UpstreamFailed
from core.http.connector import tls_context
from core.http.errors import TransportFailed
from core.http.guard import OutboundGuard
from core.http.origin import Origin
from services.vector.adapters.postgres_server import postgres_tls
from services.vector.adapters.qdrant import QdrantEngine
from services.vector.adapters.qdrant_server import QdrantServer
from tests.support.connections import listening
from tests.support.hostile_qdrant import HERE, HostileQdrant
from tests.support.remote_engines import MIB, pgvector
from tests.support.tls import Authority, make_authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """For api.test."""
    return make_authority(tmp_path_factory.mktemp("tls"))


async def _to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


GUARD = OutboundGuard(["127.0.0.1"], lookup=_to_loopback)


class FakePostgres:
    """Says that it has TLS, or has not, and keeps what it is told then."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.heard = b""
        self.names: list[str | None] = []
        self._tls = tls
        if tls is not None:
            tls.sni_callback = lambda _, name, __: self.names.append(name)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(8)
        if first == b"\0\0\0\x08\x04\xd2\x16\x2f":
            writer.write(b"N" if self._tls is None else b"S")
            if self._tls is not None:
                try:
                    await writer.start_tls(self._tls)
                except OSError:
                    return
            first = b""
        self.heard += first + await reader.read(1000)
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        async with listening(lambda sock: asyncio.start_server(self.serve, sock=sock)) as port:
            yield port


async def connect(port: int, host: str, mode: str) -> PorticoError:
    """Return the error of a connection, which always fails: the server is none."""
    engine = pgvector({"host": host, "port": port, "user": "marie", "database": "d"}, GUARD, ssl=mode)
    with pytest.raises((Unavailable, UpstreamFailed)) as caught:
        await asyncio.wait_for(engine.check(), 30)
    await engine.close()
    return caught.value


@pytest.fixture
def _trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is the system's, and what was read of those before is forgotten."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    monkeypatch.setattr("services.vector.adapters.postgres_server.postgres_tls", postgres_tls.__wrapped__)
    monkeypatch.setattr("services.vector.adapters.postgres_server.tls_context", tls_context.__wrapped__)


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize(
    ("mode", "host", "proven"),
    [
        ("verify-full", "api.test", True),
        ("verify-full", "other.test", False),
        ("verify-ca", "other.test", True),
        ("require", "other.test", True),
        ("prefer", "other.test", True),
    ],
)
async def test_a_postgresql_servers_certificate(authority: Authority, mode: str, host: str, proven: bool) -> None:
    server = FakePostgres(authority.server)
    async with server.running() as port:
        problem = await connect(port, host, mode)
        assert server.names == [host]
        assert (b"marie" in server.heard) is proven
        assert isinstance(problem, TransportFailed) is not proven
        assert host not in problem.message


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_an_unknown_authority_or_none_is_refused(authority: Authority, mode: str) -> None:
    if mode != "require":
        server = FakePostgres(authority.server)
        async with server.running() as port:
            assert isinstance(await connect(port, "api.test", mode), TransportFailed)
        assert server.heard == b""
    plain = FakePostgres(None)
    async with plain.running() as port:
        problem = await connect(port, "api.test", mode)
        assert "has no TLS" in problem.message
    assert plain.heard == b""


@pytest.mark.parametrize("mode", ["prefer", "disable"])
async def test_plain_text_where_it_may_be(mode: str) -> None:
    server = FakePostgres(None)
    async with server.running() as port:
        await connect(port, "api.test", mode)
    assert b"marie" in server.heard


@pytest.mark.parametrize(("host", "proven"), [("api.test", True), ("other.test", False)])
async def test_a_qdrant_servers_certificate(authority: Authority, host: str, proven: bool) -> None:
    certificate = authority.ca_file.read_bytes()
    credentials = grpc.ssl_server_credentials([(authority.key_file.read_bytes(), certificate)])
    async with HostileQdrant(credentials=credentials) as server:
        origin = Origin("https", host, server.port)
        connection = QdrantServer(origin, GUARD, "hush-hush", max_answer_bytes=MIB, root_certificates=certificate)
        engine = QdrantEngine(connection)
        if proven:
            assert (await engine.spec(HERE)).dimension == 4
            assert server.metadata[0]["api-key"] == "hush-hush"
        else:
            with pytest.raises(Unavailable):
                await engine.spec(HERE)
            assert server.calls == 0
        await engine.close()
