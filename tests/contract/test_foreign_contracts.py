"""A contract that is not Portico's, served with explicit policies: OpenTelemetry's, from its own package."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from core import context
from core.app import Platform
from core.config import Secret
from core.errors import InvalidInput
from core.rpc.audit_rules import AuditRule
from core.rpc.call import CallContext
from core.rpc.error_formats import ErrorFormat
from core.rpc.policy import Policy
from core.rpc.server import ServiceRegistration
from core.rpc.stages.auth import Auth
from core.tenancy import Tenant
from tests.support import serving
from tests.support.serving import REST
from tests.support.tokens import Signer
from tests.support.transports import Transport, bearer, refusal, trailing

NAME = "opentelemetry.proto.collector.trace.v1.TraceService"
EXPORT = Policy(f"/{NAME}/Export", scope="tracing:write", error_format=ErrorFormat.GRPC)


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.tenants: list[str] = []

    async def Export(self, request: pb.ExportTraceServiceRequest, context_: CallContext) -> Any:
        if not request.resource_spans:
            raise InvalidInput("Send at least one span.", field="resource_spans")
        self.tenants.append(context.identity().tenant.slug)
        return pb.ExportTraceServiceResponse()


def registration(*policies: Policy) -> ServiceRegistration:
    add = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    return ServiceRegistration(NAME, add, Traces(), policies)


def export(channel: Any, *metadata: tuple[str, str], spans: int = 1) -> Any:
    request = pb.ExportTraceServiceRequest()
    for _ in range(spans):
        request.resource_spans.add()
    return trace_service_pb2_grpc.TraceServiceStub(channel).Export(request, metadata=metadata, timeout=30)


async def test_the_policy_is_enforced_as_an_option_would_be(transport: Transport, signer: Signer) -> None:
    """Its code comes from an older generator, whose handlers the server did not find."""
    served = registration(EXPORT)
    async with transport([served], [Auth(signer.verifier(), Secret("s" * 32))]) as channel:
        assert (await refusal(export(channel))).code() is grpc.StatusCode.UNAUTHENTICATED
        reader = bearer(signer.token(scopes=["tracing:read"]))
        assert (await refusal(export(channel, reader))).code() is grpc.StatusCode.PERMISSION_DENIED
        await export(channel, bearer(signer.token(tenant="acme", scopes=["tracing:write"])))
    assert isinstance(served.servicer, Traces)
    assert served.servicer.tenants == ["acme"]


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (ErrorFormat.GRPC, None),
        (ErrorFormat.ANTHROPIC, '{"type":"error","error":{"type":"authentication_error","message":'),
        (ErrorFormat.OPENAI, '{"error":{"message":'),
    ],
)
async def test_the_policy_selects_the_format_of_errors(
    transport: Transport, signer: Signer, format: ErrorFormat, body: str | None
) -> None:
    """The stages refuse in the format too, before any code of the RPC has run."""
    policy = Policy(EXPORT.method, scope="tracing:write", error_format=format)
    async with transport([registration(policy)], [Auth(signer.verifier(), Secret("s" * 32))]) as channel:
        error = await refusal(export(channel, *REST))
    metadata = trailing(error)
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert status.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
    if body is None:
        assert "x-http-status" not in metadata
        assert "x-error-body" not in metadata
    else:
        assert metadata["x-http-status"] == "401"
        assert metadata["x-error-body"].startswith(body)


def test_without_policies_it_cannot_be_served() -> None:
    add = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    with pytest.raises(ValueError, match="access"):
        ServiceRegistration(NAME, add, Traces()).rules()


@pytest.mark.parametrize(
    "policies", [(), (Policy(f"/{NAME}/Exprot", public=True),), (EXPORT, Policy(f"/{NAME}/Import", public=True))]
)
def test_policies_that_do_not_match_the_contract_are_refused(policies: tuple[Policy, ...]) -> None:
    with pytest.raises(ValueError, match="one policy for each of its RPCs"):
        registration(*policies).rules()


@pytest.mark.parametrize("rules", [{}, {"public": True, "scope": "tracing:write"}])
def test_a_policy_has_exactly_one_access_rule(rules: Any) -> None:
    with pytest.raises(ValueError, match="one access rule"):
        registration(Policy(EXPORT.method, **rules)).rules()


@dataclass(frozen=True)
class NoSettings:
    """Those of a service without any."""


async def test_a_service_serves_it_beside_its_own(tmp_path: Path, signer: Signer) -> None:
    """The audit, which stands around the handlers of every service, asked it for options that it has not."""

    async def build(platform: Platform, settings: NoSettings) -> list[ServiceRegistration]:
        return [registration(replace(EXPORT, audit=AuditRule("span.write", "span", batched=True)))]

    async with (
        serving.served("other", NoSettings, build, tmp_path, signer) as running,
        serving.connect(running.port) as channel,
    ):
        await export(channel, bearer(signer.token(tenant="acme", scopes=["tracing:write"])))
        await running.platform.audit.close()
        entries, _ = await running.platform.audit.page(Tenant("acme"), {}, page_size=10, page_token="")
    assert [(each.action, each.outcome) for each in entries] == [("span.write", "success")]
