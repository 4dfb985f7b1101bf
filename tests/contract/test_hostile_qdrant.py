"""A Qdrant server that a tenant runs against us: real sockets, real gRPC, the real client."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from qdrant_client import grpc as wire

from core.errors import PorticoError, Unavailable, UpstreamFailed
from core.http.errors import AddressRefused, ConnectionsBusy
from core.http.guard import OutboundGuard
from services.vector.adapters import qdrant_server as bounds
from services.vector.adapters.answers import AnswerTooLarge
from services.vector.adapters.qdrant_limits import CALLS
from services.vector.adapters.qdrant_wire import Malformed, check_fields
from services.vector.domain.points import vector
from services.vector.ports import Query, VectorEngine
from tests.support.connections import listening
from tests.support.hostile_qdrant import HERE, HONEST, Answer, HostileQdrant, found, payload, registry, scored
from tests.support.remote_engines import LOOPBACK, MIB, drivers_at

QUERY = Query(vector([1, 0, 0, 0]), top_k=10, include_values=True)
Context = Any

EMPTY_POINTS = b"\x0a\x00" * (4 * MIB)


def vectors(**kinds: Any) -> wire.VectorsOutput:
    named = wire.NamedVectorsOutput(vectors={"dense": wire.VectorOutput(**kinds)})
    return wire.VectorsOutput(vectors=named)


def dense(*numbers: float) -> wire.VectorsOutput:
    return vectors(dense=wire.DenseVector(data=numbers))


def nested(depth: int) -> wire.Value:
    value = wire.Value()
    for _ in range(depth):
        value = wire.Value(list_value=wire.ListValue(values=[value]))
    return value


def full(**changes: Any) -> bytes:
    """A match with its vector, as the query asks for."""
    return found(scored(**{"vectors": dense(1, 0, 0, 0), **changes}))


LISTS = wire.Value(list_value=wire.ListValue(values=[wire.Value()] * 100_000))
STRUCT = wire.Value(struct_value=wire.Struct(fields={f"{n}": wire.Value() for n in range(50_000)}))
MULTI = vectors(multi_dense=wire.MultiDenseVector(vectors=[wire.DenseVector()] * 100_000))

BLOATED: dict[str, bytes] = {
    "200 MB": bytes(200 * MIB),
    "points of two bytes": EMPTY_POINTS,
    "more points than asked for": found(*[scored()] * 20_000),
    "values in a list": full(payload={"point": LISTS}),
    "values in an object": full(payload={"point": STRUCT}),
    "vectors in a vector": found(scored(vectors=MULTI)),
    "numbers one by one": found() + b"\x0a\x80\x89\x7a" + b"\x1d\0\0\0\0" * 400_000,
    "values within values": full(payload={"point": nested(40)}) * 200,
}
MALFORMED: dict[str, dict[str, Answer]] = {
    "no message": {"Query": b"\xff" * 100},
    "a message cut short": {"Query": full()[:-3]},
    "no text": {"Query": b"\x0a\x05\x12\x03\x0a\x01\xff"},
    "no payload": {"Query": full(payload={})},
    "no text in the payload": {"Query": full(payload={"point": wire.Value(integer_value=1)})},
    "no JSON": {"Query": full(payload=payload("{"))},
    "JSON of another form": {"Query": full(payload=payload("[1]"))},
    "an id that is none": {"Query": full(payload=payload('[1, 1.0, {}, "t"]'))},
    "metadata that is none": {"Query": full(payload=payload('["a", 1.0, [1], "t"]'))},
    "metadata of a megabyte": {"Query": full(payload=payload('["a", 1.0, {"a": [%s1]}, "t"]' % ("[]," * 300_000)))},
    "nested metadata": {"Query": full(payload=payload('["a", 1.0, {"a": %s}, "t"]' % ("[" * 900 + "]" * 900)))},
    "text that is none": {"Query": full(payload=payload('["a", 1.0, {}, 7]'))},
    "a length that is none": {"Query": full(payload=payload('["a", "x", {}, "t"]'))},
    "no vector": {"Query": found(scored())},
    "a vector of another length": {"Query": full(vectors=dense(1, 2))},
    "a sparse vector": {"Query": found(scored(vectors=vectors(sparse=wire.SparseVector(indices=[1], values=[1]))))},
    "an index of no dimension": {"Get": registry(dimension=wire.Value(integer_value=-1))},
    "an index of another metric": {"Get": registry(metric=wire.Value(string_value="x"))},
    "an index without fields": {"Get": wire.GetResponse(result=[wire.RetrievedPoint()]).SerializeToString()},
}


@asynccontextmanager
async def engine_at(port: int, guard: OutboundGuard = LOOPBACK, host: str = "127.0.0.1") -> AsyncIterator[VectorEngine]:
    engine = drivers_at(guard)["qdrant"].open({"apiKey": "hush-hush"}, {"url": f"http://{host}:{port}"})
    try:
        yield engine
    finally:
        await asyncio.wait_for(engine.close(), 20)


@asynccontextmanager
async def attacked(
    answers: Mapping[str, Answer], compression: grpc.Compression | None = None
) -> AsyncIterator[tuple[HostileQdrant, VectorEngine]]:
    async with HostileQdrant(answers, compression=compression) as server, engine_at(server.port) as engine:
        yield server, engine


async def test_an_honest_answer_is_read() -> None:
    async with attacked({"Query": full()}) as (server, engine):
        (match,) = await engine.query(HERE, QUERY)
        assert (match.id, match.metadata, match.text, match.score) == ("a", {"n": 1}, "t", 0.5)
        assert match.values is not None
        assert match.values.tolist() == [1, 0, 0, 0]
        assert {each["api-key"] for each in server.metadata} == {"hush-hush"}


@pytest.mark.parametrize("name", BLOATED)
async def test_a_bloated_answer_is_refused(name: str) -> None:
    """It was read to its end, whatever its length; of 8 MB of empty points, the client made objects for minutes."""
    async with attacked({"Query": BLOATED[name]}) as (server, engine):
        with pytest.raises(UpstreamFailed):
            await asyncio.wait_for(engine.query(HERE, QUERY), 60)
        server.answers["Query"] = full()
        assert len(await engine.query(HERE, QUERY)) == 1


async def test_an_answer_that_bursts_when_it_is_unpacked_is_refused() -> None:
    answer = {"Query": full(payload=payload("x" * (20 * MIB)))}
    async with attacked(answer, grpc.Compression.Gzip) as (_, engine):
        with pytest.raises((UpstreamFailed, Unavailable)):
            await asyncio.wait_for(engine.query(HERE, QUERY), 60)


@pytest.mark.parametrize("name", MALFORMED)
async def test_an_answer_that_cannot_be_read_is_the_servers_fault(name: str) -> None:
    """Most of these were internal errors of ours, and one the caller's mistake."""
    async with attacked(MALFORMED[name]) as (_, engine):
        with pytest.raises(UpstreamFailed) as refused:
            await engine.query(HERE, QUERY)
        assert refused.value.field is None


async def test_a_count_that_is_bloated_is_refused() -> None:
    """An answer without points must be short."""
    async with attacked({"Count": HONEST["Count"] + b"\x1a\x80\x80\x40" + bytes(MIB)}) as (_, engine):  # type: ignore[operator]
        with pytest.raises(AnswerTooLarge):
            await engine.count(HERE)


@pytest.mark.parametrize("code", list(grpc.StatusCode))
async def test_whatever_the_status_nothing_that_is_said_is_passed_on(
    code: grpc.StatusCode, capfd: pytest.CaptureFixture[str]
) -> None:
    if code is grpc.StatusCode.OK:
        return

    async def refuse(context: Context) -> bytes:
        await context.abort(code, "hush-hush at db.internal", (("retry-after", "7"),))
        raise AssertionError

    async with attacked({"Query": refuse}) as (_, engine):
        with pytest.raises(PorticoError) as caught:
            await engine.query(HERE, QUERY)
    out, err = capfd.readouterr()
    for text in (str(caught.value), out, err):
        assert "internal" not in text.replace("INTERNAL", "")
        assert "hush" not in text


async def test_headers_without_end_are_refused() -> None:
    async def boast(context: Context) -> bytes:
        context.set_trailing_metadata(tuple((f"x-{number}", "y" * 4000) for number in range(1000)))
        return full()

    async with attacked({"Query": boast}) as (_, engine):
        with pytest.raises((UpstreamFailed, Unavailable)):
            await asyncio.wait_for(engine.query(HERE, QUERY), 60)


async def _silent(context: Context) -> bytes:
    await asyncio.Event().wait()
    return b""


async def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CALL_SECONDS", 0.5)
    async with attacked({"Query": _silent}) as (_, engine):
        with pytest.raises(Unavailable):
            await asyncio.wait_for(engine.query(HERE, QUERY), 20)


async def test_so_many_calls_at_a_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "WAIT_SECONDS", 0.1)
    async with attacked({"Query": _silent}) as (server, engine):
        await engine.spec(HERE)
        before = server.calls
        calls = [asyncio.create_task(engine.query(HERE, QUERY)) for _ in range(CALLS + 4)]
        done, _ = await asyncio.wait(calls, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(ConnectionsBusy):
            done.pop().result()
        assert server.calls - before == CALLS
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_other_servers_serve_while_one_attacks() -> None:
    async with attacked({"Query": EMPTY_POINTS}) as (_, engine), attacked({"Query": full()}) as (_, fine):
        attacks = [asyncio.create_task(_attacked_forever(engine)) for _ in range(8)]
        for _ in range(30):
            assert len(await asyncio.wait_for(fine.query(HERE, QUERY), 60)) == 1
        assert not any(each.done() for each in attacks)
        for each in attacks:
            each.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)


async def _attacked_forever(engine: VectorEngine) -> None:
    while True:
        try:
            await engine.query(HERE, QUERY)
        except (Unavailable, UpstreamFailed):
            continue


class Names:
    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return list(self.addresses)


async def test_a_name_leads_where_it_was_checked_to_lead() -> None:
    """DNS rebinding: gRPC looked the name up again, at every connection, after it had been checked."""
    names = Names("127.0.0.1")
    async with HostileQdrant({"Query": full()}) as server:
        guard = OutboundGuard(["127.0.0.1"], lookup=names)
        async with engine_at(server.port, guard, "db.example.com") as engine:
            assert len(await engine.query(HERE, QUERY)) == 1
            names.addresses = ["127.0.0.2"]
            assert len(await engine.query(HERE, QUERY)) == 1  # over the connection that there is
            assert names.asked == 1
            await server.__aexit__()
            with pytest.raises(Unavailable):
                await engine.query(HERE, QUERY)
            with pytest.raises(AddressRefused):
                await engine.query(HERE, QUERY)
            assert names.asked == 2


async def test_a_server_is_called_by_its_name() -> None:
    """Behind a balancer, many servers share an address."""
    called: list[str] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    called.append(dict(event.headers)[b":authority"].decode())
                    writer.close()
            writer.write(connection.data_to_send())
        writer.close()

    async with (
        listening(lambda sock: asyncio.start_server(listen, sock=sock)) as port,
        engine_at(port, OutboundGuard(["127.0.0.1"], lookup=Names("127.0.0.1")), "db.example.com") as engine,
    ):
        with pytest.raises(Unavailable):
            await engine.spec(HERE)
    assert set(called) == {f"db.example.com:{port}"}


async def test_a_server_that_has_moved_is_found_again() -> None:
    names = Names("127.0.0.1")
    first = HostileQdrant({"Query": full()})
    async with first, engine_at(first.port, OutboundGuard(["127.0.0.0/8"], lookup=names), "db.example.com") as engine:
        assert len(await engine.query(HERE, QUERY)) == 1
        await first.__aexit__()
        async with HostileQdrant({"Query": full()}, address=f"127.0.0.2:{first.port}") as second:
            names.addresses = ["127.0.0.2"]
            with pytest.raises(Unavailable):
                await engine.query(HERE, QUERY)
            assert len(await engine.query(HERE, QUERY)) == 1
            assert second.calls == 1


async def test_proxies_of_this_machine_have_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with attacked({"Query": full()}) as (_, engine):
        assert len(await engine.query(HERE, QUERY)) == 1


def test_fields_are_counted_at_any_depth() -> None:
    message = wire.QueryResponse(result=[scored(vectors=dense(1, 2, 3))])
    data, kind = message.SerializeToString() * 50, wire.QueryResponse.DESCRIPTOR
    limit = next(limit for limit in range(2000) if _fits(kind, data, limit))
    assert limit == 50 * 15
    assert not _fits(kind, data, limit - 1)


def _fits(kind: Any, data: bytes, limit: int) -> bool:
    try:
        check_fields(kind, data, limit)
    except Malformed:
        return False
    return True


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x80", b"\x0a\x05ab", b"\xff" * 11, b"\x0b\0\0", b"\x0a\x02\x0a\x05"])
def test_what_is_no_message_is_found_out(data: bytes) -> None:
    with pytest.raises(Malformed):
        check_fields(wire.QueryResponse.DESCRIPTOR, data, len(data) // 2 - 1)
