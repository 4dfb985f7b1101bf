"""The tracing service on a real server and store: every RPC, bad input, and what one caller sees of another."""

import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from core.tenancy import Tenant
from portico.tracing.v1 import session_service_pb2 as pb
from portico.tracing.v1 import session_service_pb2_grpc
from services.tracing.app import serve
from services.tracing.settings import Settings
from tests.support import serving
from tests.support.serving import REST, connect
from tests.support.spans import request, span
from tests.support.tokens import Signer

pytestmark = pytest.mark.each_store

CODE = grpc.StatusCode
PROTOBUF, JSON = "application/x-protobuf", "application/json"


class Client:
    """Calls as one token makes them, through the edge."""

    def __init__(self, channel: Any, token: str) -> None:
        self._channel = channel
        self._bearer = ("authorization", f"Bearer {token}")

    async def call(self, name: str, message: Any = None, *metadata: tuple[str, str]) -> Any:
        stub = session_service_pb2_grpc.SessionServiceStub(self._channel)
        given = message if message is not None else getattr(pb, f"{name}Request")()
        return await getattr(stub, name)(given, metadata=(self._bearer, *REST, *metadata), timeout=30)

    async def json(self, name: str, body: Any, **fields: Any) -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        message = getattr(pb, f"{name}Request")(body=HttpBody(content_type=JSON, data=data), **fields)
        return orjson.loads((await self.call(name, message)).data)

    async def http(self, data: bytes, content_type: str = PROTOBUF, coding: str = "") -> HttpBody:
        message = pb.ExportTracesRequest(body=HttpBody(content_type=content_type, data=data))
        return await self.call("ExportTraces", message, *([("content-encoding", coding)] if coding else []))

    async def export(self, message: otlp.ExportTraceServiceRequest) -> Any:
        stub = trace_service_pb2_grpc.TraceServiceStub(self._channel)
        return await stub.Export(message, metadata=(self._bearer,), timeout=30)

    async def session(self, id: str) -> dict[str, Any]:
        return MessageToDict(await self.call("GetSession", pb.GetSessionRequest(session_id=id)))


class Harness(serving.Harness):
    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> Client:
        return Client(self.channel, self.signer.token(tenant=tenant, project=project, **claims))


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with (
        serving.served("tracing", Settings, serve, tmp_path, signer, PORTICO_TRACING_MAX_BODY_MB="1") as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, tmp_path)


@pytest.fixture
def client(harness: Harness) -> Client:
    return harness.client()


async def refusal(call: Any) -> tuple[int, str, str]:
    """HTTP status, code and field of the error that REST callers get."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailing = dict(caught.value.trailing_metadata() or ())
    error = orjson.loads(trailing["x-error-body"])["error"]
    return int(trailing["x-http-status"]), error["code"], error["param"]


async def test_a_session_as_the_sdk_streams_it(client: Client) -> None:
    started = await client.json("StartSession", {"agent": {"name": "a"}}, session_id="s")
    assert started == {"success": True, "sessionId": "s", "status": "in_progress"}
    event = {"event": {"id": "e", "type": "ai_call", "model": "m", "usage": {"inputTokens": 5}}}
    for _ in range(2):
        appended = await client.json("AppendEvent", event, session_id="s")
        assert appended == {"success": True, "sessionId": "s", "eventId": "e", "totalEvents": 1}
    ended = await client.json("EndSession", b"", session_id="s")
    assert (ended["status"], ended["totalEvents"]) == ("success", 1)
    found = await client.session("s")
    assert found["session"]["totals"]["inputTokens"] == 5
    assert found["session"]["modelsUsed"] == ["m"]
    assert found["events"][0]["id"] == "e"


async def test_a_session_in_one_request(client: Client) -> None:
    body = {
        "sessionId": "s",
        "threadId": "t",
        "events": [{"id": "e", "type": "tool_call", "metadata": {"x": [1, None]}}],
    }
    assert await client.json("IngestSession", body) == {"success": True, "sessionId": "s", "eventsStored": 1}
    assert (await client.session("s"))["events"][0]["metadata"] == {"x": [1, None]}
    without = pb.GetSessionRequest(session_id="s", include_event_content=False)
    (event,) = (await client.call("GetSession", without)).events
    assert not event.HasField("metadata") or not event.metadata.fields
    one = await client.call("GetEvent", pb.GetEventRequest(session_id="s", event_id="e"))
    assert MessageToDict(one.event.metadata) == {"x": [1, None]}


async def test_lists(client: Client) -> None:
    for at in range(3):
        await client.json(
            "IngestSession", {"sessionId": f"s{at}", "threadId": "t", "agent": {"name": "a"}, "startedAt": at + 1}
        )
    first = await client.call("ListSessions", pb.ListSessionsRequest(page_size=2))
    assert [each.session_id for each in first.sessions] == ["s2", "s1"]
    token = first.next_page_token
    rest = await client.call("ListSessions", pb.ListSessionsRequest(page_size=2, page_token=token))
    assert [each.session_id for each in rest.sessions] == ["s0"]
    other = pb.ListSessionsRequest(page_size=2, page_token=token, agent="a")
    assert await refusal(client.call("ListSessions", other)) == (400, "invalid_input", "pageToken")
    threads = await client.call("ListThreads")
    assert (threads.total, threads.threads[0].session_count) == (1, 3)
    thread = await client.call("GetThread", pb.GetThreadRequest(thread_id="t"))
    assert len(thread.sessions) == 3
    assert [each.name for each in (await client.call("ListAgents")).agents] == ["a"]
    await client.call("DeleteSession", pb.DeleteSessionRequest(session_id="s0"))
    assert await refusal(client.call("GetSession", pb.GetSessionRequest(session_id="s0"))) == (
        404,
        "not_found",
        "session_id",
    )


async def test_spans_over_grpc_with_some_that_are_rejected(client: Client) -> None:
    bad = span(2)
    bad.span_id = b""
    answer = await client.export(request(span(1, gen_ai__request__model="m"), bad))
    assert answer.partial_success.rejected_spans == 1
    assert "span id" in answer.partial_success.error_message
    assert (await client.session("otlp_0af7651916cd43dd"))["session"]["modelsUsed"] == ["m"]
    assert await client.export(request()) == otlp.ExportTraceServiceResponse()


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_spans_over_http(client: Client, coding: str) -> None:
    data = request(span(1), span(2, parent=1)).SerializeToString()
    answer = await client.http(gzip.compress(data) if coding else data, coding=coding)
    assert answer.content_type == PROTOBUF
    assert otlp.ExportTraceServiceResponse.FromString(answer.data) == otlp.ExportTraceServiceResponse()
    bad = {"traceId": "x", "spanId": "y"}
    good = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00000000000000ff", "name": "n"}
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [good, bad]}]}]})
    answer = await client.http(gzip.compress(body) if coding else body, f"{JSON}; charset=utf-8", coding)
    assert answer.content_type == JSON
    told = orjson.loads(answer.data)
    assert told["partialSuccess"]["rejectedSpans"] == "1"
    assert (told["success"], told["spansProcessed"], told["sessionsIngested"], told["eventsStored"]) == (True, 1, 1, 1)
    assert (await client.session("otlp_0af7651916cd43dd"))["session"]["totalEvents"] == 3


HOSTILE_BODIES: dict[str, tuple[Callable[[], bytes], str, str, int, str]] = {
    "large": (lambda: b"x" * 1_100_000, PROTOBUF, "", 413, "payload_too_large"),
    "gzip bomb": (lambda: gzip.compress(bytes(50_000_000)), PROTOBUF, "gzip", 413, "payload_too_large"),
    "gzip bomb of JSON": (lambda: gzip.compress(b"{}" + b" " * 50_000_000), JSON, "gzip", 413, "payload_too_large"),
    "torn gzip": (lambda: gzip.compress(b"{}")[:-4], JSON, "gzip", 400, "invalid_input"),
    "no gzip": (lambda: b"{}", JSON, "gzip", 400, "invalid_encoding"),
    "unknown coding": (lambda: b"{}", JSON, "br", 415, "unsupported_encoding"),
    "text": (lambda: b"{}", "text/plain", "", 415, "unsupported_media"),
    "no type": (lambda: b"{}", "", "", 415, "unsupported_media"),
    "no protobuf": (lambda: b"\xff\xff", PROTOBUF, "", 400, "invalid_input"),
    "no JSON": (lambda: b"{", JSON, "", 400, "invalid_json"),
    "deep JSON": (lambda: b"[" * 100_000, JSON, "", 400, "invalid_input"),
    "another shape": (lambda: b'{"resourceSpans": {}}', JSON, "", 400, "invalid_input"),
}
"""Bodies, made when they are sent: gzip writes the time into them, and the names of tests must not hold it."""


@pytest.mark.parametrize("name", HOSTILE_BODIES)
async def test_hostile_bodies(client: Client, name: str) -> None:
    make, content_type, coding, status, code = HOSTILE_BODIES[name]
    answer = await refusal(client.http(make(), content_type, coding))
    assert answer[:2] == (status, code)


async def test_a_message_that_is_too_large_is_refused_over_grpc(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.export(request(span(1, text="x" * 1_100_000)))
    assert refused.value.code() is CODE.INVALID_ARGUMENT  # RESOURCE_EXHAUSTED asks to send it again


@pytest.mark.parametrize(
    ("name", "body", "fields", "expected"),
    [
        ("IngestSession", b"{", {}, (400, "invalid_json", "body")),
        ("IngestSession", b"[]", {}, (400, "invalid_input", "body")),
        ("IngestSession", {"sessionId": "x" * 300}, {}, (400, "invalid_input", "sessionId")),
        ("AppendEvent", {"event": {"id": "e"}}, {"session_id": "none"}, (404, "not_found", "session_id")),
        ("AppendEvent", {}, {"session_id": "s"}, (400, "invalid_input", "event")),
        ("EndSession", {}, {"session_id": "none"}, (404, "not_found", "session_id")),
        ("StartSession", {"startedAt": "x"}, {"session_id": "s"}, (400, "invalid_input", "startedAt")),
    ],
)
async def test_bad_input(client: Client, name: str, body: Any, fields: Any, expected: Any) -> None:
    assert await refusal(client.json(name, body, **fields)) == expected


@pytest.mark.parametrize(
    ("name", "message", "field"),
    [
        ("ListSessions", pb.ListSessionsRequest(page_size=1000), "pageSize"),
        ("ListSessions", pb.ListSessionsRequest(search="x" * 201), "search"),
        ("ListEvents", pb.ListEventsRequest(session_id="s", page_size=5000), "pageSize"),
        ("ListThreads", pb.ListThreadsRequest(limit=1000), "limit"),
        ("ListThreads", pb.ListThreadsRequest(skip=100_000), "skip"),
    ],
)
async def test_bad_questions(client: Client, name: str, message: Any, field: str) -> None:
    assert await refusal(client.call(name, message)) == (400, "invalid_input", field)


async def test_nobody_sees_or_changes_what_is_another_projects(harness: Harness) -> None:
    clients = [harness.client("acme", "p1"), harness.client("acme", "p2"), harness.client("globex", "p1")]
    for number, client in enumerate(clients, start=1):
        await client.export(request(*(span(id) for id in range(1, number + 1))))
        await client.json("IngestSession", {"sessionId": "s", "events": [{"id": str(number), "type": "x"}]})
    for number, client in enumerate(clients, start=1):
        assert (await client.session("otlp_0af7651916cd43dd"))["session"]["totalEvents"] == number
        assert [each["id"] for each in (await client.session("s"))["events"]] == [str(number)]
        assert len((await client.call("ListSessions")).sessions) == 2


async def test_scopes(harness: Harness) -> None:
    reader, writer = harness.client(scopes=["tracing:read"]), harness.client(scopes=["tracing:write"])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reader.export(request(span(1)))
    assert refused.value.code() is CODE.PERMISSION_DENIED
    await writer.export(request(span(1)))
    delete = pb.DeleteSessionRequest(session_id="otlp_0af7651916cd43dd")
    assert (await refusal(writer.call("DeleteSession", delete)))[0] == 403
    assert len((await reader.call("ListSessions")).sessions) == 1


async def test_how_long_a_tenant_keeps_its_traces(harness: Harness) -> None:
    token, person = harness.client(), harness.client(kind="session")
    assert (await token.call("GetTracingSettings")).settings.retention_days == 30
    change = pb.UpdateTracingSettingsRequest(retention_days=7)
    assert (await refusal(token.call("UpdateTracingSettings", change)))[0] == 403
    assert (await person.call("UpdateTracingSettings", change)).settings.retention_days == 7
    assert (await token.call("GetTracingSettings")).settings.retention_days == 7
    other = harness.client("globex")
    assert (await other.call("GetTracingSettings")).settings.retention_days == 30
    bad = pb.UpdateTracingSettingsRequest(retention_days=-1)
    assert await refusal(person.call("UpdateTracingSettings", bad)) == (400, "invalid_input", "retentionDays")


async def test_what_was_removed_and_set_is_in_the_audit_log(harness: Harness) -> None:
    client = harness.client(kind="session", sub="somebody")
    await client.json("IngestSession", {"sessionId": "s"})
    await client.call("DeleteSession", pb.DeleteSessionRequest(session_id="s"))
    await client.call("UpdateTracingSettings", pb.UpdateTracingSettingsRequest(retention_days=7))
    await harness.running.platform.audit.close()
    entries, _ = await harness.running.platform.audit.page(Tenant("acme"), {}, page_size=10, page_token="")
    found = {(each.action, each.resource_id, each.outcome, each.actor_id) for each in entries}
    assert found == {
        ("session.delete", "s", "success", "somebody"),
        ("tracing_settings.update", "", "success", "somebody"),
    }
