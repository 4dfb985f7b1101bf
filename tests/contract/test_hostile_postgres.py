"""A PostgreSQL server that a tenant runs against us. The server is a real one; a relay before it does the harm."""

import asyncio
import os
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.errors import InvalidInput, PorticoError, Unavailable, UpstreamFailed
from core.http.guard import OutboundGuard
from core.tenancy import Project, Tenant
from services.vector.adapters import postgres_server as bounds
from services.vector.domain.points import IndexSpec, Point, vector
from services.vector.ports import IndexLocation, Query, VectorEngine
from tests.support.connections import listening
from tests.support.hostile_postgres import MIB, READY, SIGNED_IN, Attack, HostilePostgres, columns, message, row
from tests.support.providers import configure
from tests.support.remote_engines import LOOPBACK, drivers_at, pgvector
from tests.support.waiting import until

HERE = IndexLocation(Project(Tenant("red"), "p"), "idx")
SPEC = IndexSpec(4)
QUERY = Query(vector([1, 0, 0, 0]))
TAKEN = 24 * MIB
"""Bytes that a server can send before it notices that nobody reads: an answer's limit, and the buffers of two
sockets."""

SELECT = b"embedding <=>"
TEXT, JSON, DOUBLE, NUMERIC_ARRAY, UNKNOWN = 25, 114, 701, 1231, 99_999
LONG = b"x" * MIB


def notice(text: bytes) -> bytes:
    return message(b"N", b"SNOTICE\0C00000\0M" + text + b"\0\0")


def error(text: bytes) -> bytes:
    return message(b"E", b"SERROR\0C22000\0M" + text + b"\0\0")


def challenge(iterations: int) -> bytes:
    """Of SCRAM, to any first message: the nonce is not the client's, which is found out after the hashing."""
    return message(b"R", struct.pack(">i", 11) + b"r=nonce,s=c2FsdA==,i=%d" % iterations)


SCRAM = message(b"R", struct.pack(">i", 10) + b"SCRAM-SHA-256\0\0")
PARAMETER = message(b"S", b"server_version\x0016.0\0")
KEY = message(b"K", struct.pack(">ii", 1, 1))

AT_CONNECT = {
    "notices": Attack(b"user\0", [notice(b"x" * 1000)], forever=True),
    "one notice": Attack(b"user\0", [message(b"N", b"SNOTICE\0M", 80 * MIB), LONG], forever=True),
    "parameters": Attack(b"user\0", [SIGNED_IN, PARAMETER], forever=True),
    "one parameter": Attack(b"user\0", [SIGNED_IN, message(b"S", b"x\0", 80 * MIB), LONG], forever=True),
    "notifications": Attack(b"user\0", [SIGNED_IN, message(b"A", b"\0\0\0\1a\0b\0")], forever=True),
    "sign-ins": Attack(b"user\0", [SIGNED_IN], forever=True),
    "methods to sign in": Attack(b"user\0", [message(b"R", struct.pack(">i", 10), 80 * MIB), LONG], forever=True),
    "a password hashed for minutes": Attack(b"user\0", [SCRAM + challenge(20_000_000)]),
    "Kerberos": Attack(b"user\0", [message(b"R", struct.pack(">i", 7))]),
    "another encoding": Attack(b"user\0", [SIGNED_IN, message(b"S", b"client_encoding\0punycode\0"), KEY + READY]),
    "a version of nonsense": Attack(
        b"user\0", [SIGNED_IN, message(b"S", b"server_version\0\xff" + b"9" * 5000 + b"\0"), KEY + READY]
    ),
    "no version": Attack(b"user\0", [SIGNED_IN + KEY + READY]),
    "a negative length": Attack(b"user\0", [message(b"R", b"", -100)]),
    "no length": Attack(b"user\0", [message(b"R", b"", 0)]),
    "the longest length": Attack(b"user\0", [message(b"R", b"", 2**31 - 1), LONG], forever=True),
    "an error of 64 MB": Attack(b"user\0", [message(b"E", b"SERROR\0M", 64 * MIB), LONG], forever=True),
    "HTTP": Attack(b"user\0", [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
    "a word before ours": Attack(b"", [SIGNED_IN + KEY + READY]),
    "a word beside the answer on TLS": Attack(b"\x04\xd2\x16\x2f", [b"N" + SIGNED_IN + KEY + READY]),
    "a word before TLS": Attack(b"\x04\xd2\x16\x2f", [b"S" + SIGNED_IN]),
    "an error instead of TLS": Attack(b"\x04\xd2\x16\x2f", [error(b"db.internal")]),
}

DESCRIBED = message(b"1") + message(b"t", struct.pack(">h", 0))
ROW = row(b"a", struct.pack(">d", 0.5), b"{}", b"t")
DONE = message(b"C", b"SELECT 1\0") + READY


def rows(*answer: bytes) -> Attack:
    """Such rows, and a transaction that ends as it should."""
    ended = message(b"C", b"COMMIT\0") + READY
    return Attack(SELECT, [message(b"2") + b"".join(answer) + DONE], next=True, afterwards=ended)


AT_QUERY = {
    "rows": Attack(SELECT, [message(b"2"), ROW], forever=True, next=True),
    "empty rows": Attack(SELECT, [message(b"2"), message(b"D", b"\0\0")], forever=True, next=True),
    "one row": Attack(SELECT, [message(b"2"), message(b"D", b"\0\4", 80 * MIB), LONG], forever=True, next=True),
    "notices": Attack(SELECT, [notice(b"x" * 1000)], forever=True, next=True),
    "short notices": Attack(SELECT, [message(b"N", b"\0")], forever=True, next=True),
    "one notice": Attack(SELECT, [message(b"N", b"M", 80 * MIB), LONG], forever=True, next=True),
    "an error of 64 MB": Attack(SELECT, [message(b"E", b"M", 64 * MIB), LONG], forever=True, next=True),
    "readiness": Attack(SELECT, [READY], forever=True, next=True),
    "copies": Attack(SELECT, [message(b"H", b"\0\0\0"), message(b"d", b"x" * 60_000)], forever=True, next=True),
    "columns": Attack(SELECT, [DESCRIBED + columns(*[TEXT] * 3000)]),
    "arrays": Attack(SELECT, [DESCRIBED + columns(TEXT, DOUBLE, NUMERIC_ARRAY, TEXT)]),
    "types to be asked for": Attack(SELECT, [DESCRIBED + columns(UNKNOWN) + DESCRIBED + columns(NUMERIC_ARRAY)]),
    "descriptions": Attack(SELECT, [message(b"1"), message(b"T", b"\0\1", 80 * MIB), LONG], forever=True),
    "a description cut short": Attack(SELECT, [DESCRIBED + message(b"T", b"\0\4c\0")]),
    "values that are none": rows(row(b"a", b"x", b"{}", b"t")),
    "too few values": rows(row(b"a")),
    "no text": rows(row(b"\xff", bytes(8), b"{}", b"t")),
    "no JSON": rows(row(b"a", bytes(8), b"{", b"t")),
    "no object": rows(row(b"a", bytes(8), b"[1]", b"t")),
    "nested": rows(row(b"a", bytes(8), b"[" * 900 + b"]" * 900, b"t")),
    "metadata of a megabyte": rows(row(b"a", bytes(8), b'{"a":[%s1]}' % (b"[]," * 300_000), b"t")),
    "a length beyond the row": Attack(
        SELECT, [message(b"2") + message(b"D", struct.pack(">hi", 4, 2**31 - 1)) + DONE], next=True
    ),
    "a negative length": Attack(SELECT, [message(b"D", b"", -100)], next=True),
}


@pytest.fixture(scope="module")
def schema(postgres_server: dict[str, Any]) -> str:
    """Of the one index here, with one point in it. No test changes it."""
    name = f"test_{uuid.uuid4().hex[:8]}"

    async def prepare() -> None:
        engine = pgvector(postgres_server, schema=name)
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, [Point("a", vector([1, 0, 0, 0]), {"n": 1}, "t")])
        await engine.close()

    asyncio.run(prepare())
    return name


@asynccontextmanager
async def indexed(server: dict[str, Any], schema: str) -> AsyncIterator[tuple[HostilePostgres, VectorEngine]]:
    """An engine behind a relay that is still honest."""
    async with HostilePostgres(server) as relay:
        engine = pgvector(relay.address, schema=schema)
        try:
            yield relay, engine
        finally:
            relay.attack = None
            await asyncio.wait_for(engine.close(), 30)


async def refused(engine: VectorEngine) -> PorticoError:
    with pytest.raises((Unavailable, UpstreamFailed)) as caught:
        await asyncio.wait_for(engine.query(HERE, QUERY), 60)
    return caught.value


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECT_SECONDS", "ACQUIRE_SECONDS", "STATEMENT_SECONDS", "RELEASE_SECONDS"):
        monkeypatch.setattr(bounds, name, 3.0, raising=False)


@pytest.mark.parametrize("name", AT_CONNECT)
async def test_an_attack_on_a_new_connection_is_refused(
    postgres_server: dict[str, Any], schema: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A notice of 80 MB stopped the loop for seconds; a password hashed as often as the server likes, for hours."""
    async with indexed(postgres_server, schema) as (relay, engine):
        relay.attack = AT_CONNECT[name]
        problem = await refused(engine)
        assert relay.attacks >= 1
        assert relay.sent <= TAKEN
        assert "internal" not in problem.message
        relay.attack = None
        assert [match.id for match in await engine.query(HERE, QUERY)] == ["a"]
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("name", AT_QUERY)
async def test_an_attack_in_an_answer_is_refused(
    postgres_server: dict[str, Any], schema: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An unreadable answer was an internal error of ours; an answer without end was read to its end."""
    async with indexed(postgres_server, schema) as (relay, engine):
        assert await engine.count(HERE) == 1  # it is connected
        relay.attack = AT_QUERY[name]
        problem = await refused(engine)
        assert relay.attacks == 1
        assert relay.sent <= TAKEN
        assert isinstance(problem, UpstreamFailed)
        relay.attack = None
        assert [match.id for match in await engine.query(HERE, QUERY)] == ["a"]
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_flood_between_two_operations_costs_the_connection(
    postgres_server: dict[str, Any], schema: str
) -> None:
    async with indexed(postgres_server, schema) as (relay, engine):
        relay.attack = Attack(b"RESET ALL", [notice(b"x" * 1000)], forever=True)
        assert [match.id for match in await engine.query(HERE, QUERY)] == ["a"]
        relay.attack = None
        assert relay.sent <= TAKEN
        assert [match.id for match in await engine.query(HERE, QUERY)] == ["a"]


@pytest.mark.parametrize("trigger", [b"", b"\x04\xd2\x16\x2f", b"user\0", b"CREATE EXTENSION", SELECT, b"COMMIT"])
async def test_a_server_that_falls_silent_is_given_up(
    postgres_server: dict[str, Any], schema: str, trigger: bytes
) -> None:
    """In the middle of preparing the database it kept every later call of its tenant waiting."""
    async with indexed(postgres_server, schema) as (relay, engine):
        relay.attack = Attack(trigger, [])
        problems = await asyncio.gather(*(refused(engine) for _ in range(3)))
        assert all(isinstance(problem, Unavailable) for problem in problems)
        relay.attack = None
        assert [match.id for match in await engine.query(HERE, QUERY)] == ["a"]


async def test_a_caller_who_leaves_does_not_wait_for_a_silent_server(
    postgres_server: dict[str, Any], schema: str
) -> None:
    async with indexed(postgres_server, schema) as (relay, engine):
        relay.attack = Attack(SELECT, [])
        call = asyncio.create_task(engine.query(HERE, QUERY))
        await until(lambda: relay.attacks == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 20)
        relay.attack = None
        assert [match.id for match in await engine.query(HERE, QUERY)] == ["a"]


async def test_a_cancelled_statement_is_cancelled_at_the_server(postgres_server: dict[str, Any], schema: str) -> None:
    """By a connection of its own, which is looked up and checked like any other."""
    async with indexed(postgres_server, schema) as (relay, engine):
        held: list[Any] = []
        server: Any = engine._server  # type: ignore[attr-defined]

        async def sleep() -> None:
            async with server.operation() as connection:
                held.append(connection)
                await connection.execute("SELECT pg_sleep(600)")

        call = asyncio.create_task(sleep())
        await until(lambda: bool(held))
        await asyncio.sleep(0.1)
        before = relay.connections
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 20)
        assert relay.connections == before + 1
        assert await engine.count(HERE) == 1
        assert relay.connections == before + 1  # the connection was kept


async def test_other_servers_serve_while_one_attacks(postgres_server: dict[str, Any], schema: str) -> None:
    async with indexed(postgres_server, schema) as (relay, engine):
        relay.attack = Attack(SELECT, [notice(b"x" * 1000)], forever=True, next=True, most=10**12)
        attacks = [asyncio.create_task(_attacked_forever(engine)) for _ in range(16)]
        await until(lambda: relay.attacks > 1)
        other = pgvector(postgres_server, schema=schema)
        for _ in range(30):
            assert [match.id for match in await asyncio.wait_for(other.query(HERE, QUERY), 60)] == ["a"]
        assert not any(each.done() for each in attacks)
        for each in attacks:
            each.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)
        await other.close()


async def _attacked_forever(engine: VectorEngine) -> None:
    while True:
        try:
            await engine.query(HERE, QUERY)
        except (Unavailable, UpstreamFailed):
            continue


async def test_every_connection_is_looked_up_and_checked_anew(postgres_server: dict[str, Any], schema: str) -> None:
    """DNS rebinding: the driver looked the name up again after it had been checked."""
    addresses = ["127.0.0.1"]

    async def lookup(host: str, port: int) -> list[str]:
        return list(addresses)

    guard = OutboundGuard(["127.0.0.1"], lookup=lookup)
    async with HostilePostgres(postgres_server) as relay:
        engine = pgvector({**relay.address, "host": "db.example.com"}, guard, schema=schema)
        assert await engine.count(HERE) == 1
        before = relay.connections
        addresses[:] = ["127.0.0.2"]
        assert await engine.count(HERE) == 1  # over the connection that there is
        counts = await asyncio.gather(*(engine.count(HERE) for _ in range(4)), return_exceptions=True)
        assert sorted({type(each).__name__ for each in counts}) == ["AddressRefused", "int"]
        assert relay.connections == before
        await engine.close()


async def test_nothing_of_this_machine_is_told(
    postgres_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """asyncpg takes what it is not given from the environment and the home folder, and would tell any server."""
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1000))
        writer.write(message(b"R", struct.pack(">i", 3)))
        heard.extend(await reader.read(1000))
        writer.close()

    (tmp_path / ".pgpass").write_text("*:*:*:*:of-the-home")
    os.chmod(tmp_path / ".pgpass", 0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PGPASSWORD", "PGUSER", "PGDATABASE", "PGHOST", "PGSERVICE", "PGSSLMODE", "PGTARGETSESSIONATTRS"):
        monkeypatch.setenv(name, "of-the-environment")
    async with listening(lambda sock: asyncio.start_server(listen, sock=sock)) as port:
        engine = pgvector({"host": "127.0.0.1", "port": port, "user": "u", "database": "d"}, ssl="disable")
        await refused(engine)
        assert heard.endswith(message(b"p", b"\0"))
        assert b"of-the" not in heard
        await engine.close()


async def test_neither_answers_nor_logs_say_what_the_server_says(
    postgres_server: dict[str, Any], schema: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with indexed(postgres_server, schema) as (relay, engine):
        relay.attack = Attack(SELECT, [error(b"password of db.internal is hunter2") + READY])
        problem = await refused(engine)
    out, err = capfd.readouterr()
    assert not any(word in text for word in ("hunter2", "internal") for text in (problem.message, out, err))


@pytest.mark.parametrize("name", ["host", "connectionString"])
async def test_a_server_inside_is_refused_when_it_is_configured(name: str) -> None:
    driver = drivers_at(OutboundGuard())["pgvector"]
    settings = {"host": "127.0.0.1", "user": "u", "database": "d"} if name == "host" else {}
    credentials = {} if name == "host" else {"connectionString": "postgresql://u:p@127.0.0.1/d"}
    with pytest.raises(InvalidInput, match="leads to no address that is public"):
        await configure(driver, credentials, settings, OutboundGuard())
    await configure(driver, credentials, settings, LOOPBACK)
