"""Spans of Portico's own: one trace from the client over edge and service to the provider, sent to any collector."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from aiohttp import web
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.support.cluster import Cluster, Rest, until
from tests.support.connections import http_session

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "the-secret-of-the-conversation"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Spans by service."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.headers: list[dict[str, Any]] = []

    async def Export(self, request: Any, context: Any) -> Any:
        self.headers.append(dict(context.invocation_metadata()))
        for group in request.resource_spans:
            named = {each.key: each.value.string_value for each in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans += [(named["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, int]]:
    collector, server = Collector(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield collector, port
    finally:
        await server.stop(0)


@asynccontextmanager
async def provider() -> AsyncIterator[tuple[list[str], str]]:
    """A provider, with the `traceparent` of each request, and its URL."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("traceparent", ""))
        body = await request.json()
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        told = {"role": "assistant", "content": SECRET}
        if not body.get("stream"):
            choice = {"index": 0, "message": told, "finish_reason": "stop"}
            return web.json_response({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for chunk in (
            {"choices": [{"index": 0, "delta": told}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ):
            await response.write(
                f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', **chunk})}\n\n".encode()
            )
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield seen, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value for each in span.attributes}


async def test_a_chat_is_one_trace_from_client_to_provider(own_cluster: Cluster) -> None:
    async with collecting() as (collector, port), provider() as (seen, base), http_session() as http:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        cluster = Cluster(own_cluster.data, env)
        own_cluster.process = cluster.start().process
        rest, token = Rest(cluster.url, http), cluster.dev_token
        about = {"driver": "openai-compatible", "label": "P", "settings": {"baseUrl": base}, "credentials": {}}
        await rest.ok("POST", "/v1/models/providers", {"key": "p", **about}, token=token)
        model = {"key": "m", "name": "M", "category": "llm", "providerKey": "p", "modelId": "big"}
        await rest.ok("POST", "/v1/models", model, token=token)
        for stream in (False, True):
            body = {"model": "m", "messages": [{"role": "user", "content": SECRET}], "stream": stream}
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            answer = await rest.call("POST", "/v1/chat/completions", body, token=token, headers=headers)
            assert answer.status == 200, answer.raw

        def ours() -> list[tuple[str, Any]]:
            return [(name, span) for name, span in collector.spans if span.trace_id.hex() == TRACE]

        async def all_there() -> bool:
            return len(ours()) >= 6

        await until(all_there, 30)

    spans = ours()
    assert sorted(name for name, _ in spans) == ["edge"] * 2 + ["inference"] * 4
    by_id = {span.span_id: (name, span) for name, span in spans}
    calls = [span for _, span in spans if span.name == "chat m"]
    for call in calls:
        service, served = by_id[call.parent_span_id]
        assert (service, served.name) == ("inference", "/portico.inference.v1.OpenAIService/CreateChatCompletion")
        edge, entered = by_id[served.parent_span_id]
        assert (edge, entered.parent_span_id.hex()) == ("edge", PARENT)
        told = attributes(call)
        assert told["gen_ai.request.model"].string_value == "m"
        assert told["gen_ai.response.model"].string_value == "big"
        assert told["gen_ai.usage.input_tokens"].int_value == 11
        assert told["gen_ai.usage.output_tokens"].int_value == 7
    assert sorted(seen) == sorted(f"00-{TRACE}-{call.span_id.hex()}-01" for call in calls)
    assert all(SECRET not in str(span) for _, span in collector.spans)
    assert {headers["authorization"] for headers in collector.headers} == {"Bearer x"}
