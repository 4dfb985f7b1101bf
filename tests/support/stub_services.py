"""Stub services behind the edge: the real contracts, errors as the real services write them, and no sense at all."""

import argparse
import asyncio
import base64
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import grpc
import uvloop
from google.api.httpbody_pb2 import HttpBody
from grpc.aio import Server
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health

from core import errors
from core.config import Secret
from core.health import Health
from core.rpc.call import CallContext
from core.rpc.chain import Chain
from core.rpc.headers import EVENT_STREAM
from core.rpc.http1.server import Http1Server
from core.rpc.limits import MIB
from core.rpc.server import ServiceRegistration, make_server, server_options
from portico.auth.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    trust_service_pb2,
    trust_service_pb2_grpc,
)
from portico.inference.v1 import model_service_pb2, model_service_pb2_grpc, openai_service_pb2_grpc
from tests.support.serving import EDGE_SECRET

REFUSALS: dict[str, errors.PorticoError] = {
    "limit": errors.RateLimited("Slow down.", retry_after=7.0),
    "absent": errors.NotFound("No such model.", reason="MODEL_NOT_FOUND", field="model"),
    "stranger": errors.Unauthenticated("The token is revoked."),
    "down": errors.UpstreamFailed('The provider said "no" \\ ünd more.'),
    "long": errors.InvalidInput("漢字 % " * 600, field="messages", details={"innererror": {"why": "é" * 500}}),
}

PASSED_ON = {
    "x-should-retry": "false",
    "retry-after": "1",
    "retry-after-ms": "250",
} | {
    f"x-ratelimit-{what}{of}": "7"
    for what in ("limit", "remaining", "reset")
    for of in ("", "-requests", "-tokens", "-project-tokens")
}
"""Headers of a provider that clients act on."""


def metadata(context: CallContext) -> dict[str, str]:
    return {key: str(value) for key, value in context.metadata.items()}


def json_body(content: Any) -> HttpBody:
    return HttpBody(content_type="application/json", data=json.dumps(content).encode())


def frame(text: str) -> HttpBody:
    return HttpBody(content_type="text/event-stream", data=f"data: {text}\n\n".encode())


class OpenAI(openai_service_pb2_grpc.OpenAIServiceServicer):
    """Does what `do` in the JSON body says: refuse:<name>, stream:<frames>, hold, never, big:<bytes>, limits, crash.

    Without it the answer tells what came.
    """

    async def CreateChatCompletion(self, request: Any, context: CallContext) -> AsyncIterator[HttpBody]:
        what, _, argument = _do(request.body.data).partition(":")
        match what:
            case "refuse":
                raise REFUSALS[argument]
            case "stream":
                for name, value in EVENT_STREAM:
                    context.add_header(name, value)
                for number in range(int(argument)):
                    yield frame(str(number))
                yield frame("[DONE]")
            case "hold" | "never":
                try:
                    if what == "hold":
                        yield frame("first")
                    print("waiting", flush=True)
                    await asyncio.Event().wait()
                finally:
                    print("cancelled", metadata(context)["x-request-id"], flush=True)
            case "big":
                yield json_body({"data": "x" * int(argument)})
            case "limits":
                for name, value in PASSED_ON.items():
                    context.add_header(name, value)
                yield json_body({})
            case "crash":
                raise RuntimeError("secret detail")
            case _:
                yield json_body(_told(request.body, context))

    async def CreateEmbedding(self, request: Any, context: CallContext) -> HttpBody:
        what, _, argument = _do(request.body.data).partition(":")
        if what == "refuse":
            raise REFUSALS[argument]
        return json_body(_told(request.body, context))


def _do(data: bytes) -> str:
    return str(json.loads(data).get("do", "")) if data.startswith(b'{"do"') else ""


def _told(body: HttpBody, context: CallContext) -> dict[str, Any]:
    return {"metadata": metadata(context), "content_type": body.content_type, "bytes": len(body.data)}


class Models(model_service_pb2_grpc.ModelServiceServicer):
    async def ListModels(self, request: Any, context: CallContext) -> Any:
        page = f"{request.page_size} {request.category} {request.include_providers}"
        return model_service_pb2.ListModelsResponse(object=page)

    async def GetModel(self, request: Any, context: CallContext) -> Any:
        if request.id in REFUSALS:
            raise REFUSALS[request.id]
        if request.id == "cached":
            context.add_header("cache-control", "private, no-cache")
        return model_service_pb2.GetModelResponse(id=request.id)

    async def CreateModel(self, request: Any, context: CallContext) -> Any:
        return model_service_pb2.CreateModelResponse(model=model_service_pb2.Model(key=request.key, name=request.name))

    async def DeleteModel(self, request: Any, context: CallContext) -> Any:
        return model_service_pb2.DeleteModelResponse(success=True)


class Accounts(account_service_pb2_grpc.AccountServiceServicer):
    async def Login(self, request: Any, context: CallContext) -> Any:
        if request.email == "never@example.com":
            await asyncio.Event().wait()
        if request.email == "later@example.com":
            await asyncio.sleep(2.0)
        context.add_header("set-cookie", "portico_session=ptc_x; HttpOnly; SameSite=Lax")
        return account_service_pb2.LoginResponse(token=json.dumps(metadata(context)))

    async def Logout(self, request: Any, context: CallContext) -> Any:
        return account_service_pb2.LogoutResponse()


class Keys(key_service_pb2_grpc.KeyServiceServicer):
    def __init__(self, keys: list[dict[str, str]]) -> None:
        self._answer = key_service_pb2.GetJwksResponse(keys=[key_service_pb2.Jwk(**key) for key in keys])

    async def GetJwks(self, request: Any, context: CallContext) -> Any:
        print("keys", flush=True)
        return self._answer


class Trust(trust_service_pb2_grpc.TrustServiceServicer):
    """Would answer anybody: what keeps clients away from it is the edge."""

    async def MintServiceToken(self, request: Any, context: CallContext) -> Any:
        return trust_service_pb2.MintServiceTokenResponse(token="reached")

    async def WatchRevocations(self, request: Any, context: CallContext) -> AsyncIterator[Any]:
        yield trust_service_pb2.WatchRevocationsResponse()


class Recorder(grpc.GenericRpcHandler):
    """Answers every call with an empty message and prints what came: `called` and a line of JSON."""

    def service(self, details: Any) -> Any:
        async def answer(messages: AsyncIterator[bytes], context: CallContext) -> AsyncIterator[bytes]:
            received = [message async for message in messages]
            data = base64.b64encode(b"".join(received)).decode()
            print("called", json.dumps({"method": details.method, "message": data}), flush=True)
            yield b""

        return grpc.stream_stream_rpc_method_handler(answer)


def registrations(service: str, keys: list[dict[str, str]]) -> list[ServiceRegistration]:
    if service == "auth":
        package = "portico.auth.v1"
        return [
            ServiceRegistration(
                f"{package}.AccountService", account_service_pb2_grpc.add_AccountServiceServicer_to_server, Accounts()
            ),
            ServiceRegistration(
                f"{package}.KeyService", key_service_pb2_grpc.add_KeyServiceServicer_to_server, Keys(keys)
            ),
            ServiceRegistration(
                f"{package}.TrustService", trust_service_pb2_grpc.add_TrustServiceServicer_to_server, Trust()
            ),
        ]
    package = "portico.inference.v1"
    return [
        ServiceRegistration(
            f"{package}.OpenAIService", openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server, OpenAI()
        ),
        ServiceRegistration(
            f"{package}.ModelService", model_service_pb2_grpc.add_ModelServiceServicer_to_server, Models()
        ),
    ]


def recorder(keys: list[dict[str, str]]) -> Server:
    server = grpc.aio.server(options=server_options(MIB))
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(Keys(keys), server)
    server.add_generic_rpc_handlers((Recorder(),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    return server


async def serve(service: str, ports: dict[str, int], keys: list[dict[str, str]]) -> None:
    """Print the port of each cluster; `ports` are those to take."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    chain, ready = Chain([], edge_secret=Secret(EDGE_SECRET)), Health()
    await ready.start()
    stub_services = [] if service == "recorder" else registrations(service, keys)
    server = make_server(stub_services, chain, ready) if stub_services else recorder(keys)
    bound = {service: server.add_insecure_port(f"127.0.0.1:{ports.get(service, 0)}")}
    await server.start()
    hot = Http1Server(stub_services, chain, ready)
    if service != "auth":
        hot_name = f"{service}_http1"
        bound[hot_name] = await hot.start(f"127.0.0.1:{ports.get(hot_name, 0)}")
    print("ports", json.dumps(bound), flush=True)
    await stop.wait()
    await asyncio.gather(server.stop(0), hot.stop(0))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("service", choices=("auth", "inference", "recorder"))
    parser.add_argument("--ports", type=json.loads, default={})
    parser.add_argument("--keys", type=json.loads, default=[])
    given = parser.parse_args()
    uvloop.run(serve(given.service, given.ports, given.keys))


if __name__ == "__main__":
    main()
