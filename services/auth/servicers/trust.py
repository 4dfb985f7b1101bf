"""TrustService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from core.rpc.call import CallContext
from portico.auth.v1 import trust_service_pb2 as pb
from portico.auth.v1 import trust_service_pb2_grpc
from services.auth import mapping
from services.auth.domain.deleted_projects import Deletions
from services.auth.domain.revocation_log import RevocationLog
from services.auth.domain.service_tokens import ServiceTokens


class TrustServicer(trust_service_pb2_grpc.TrustServiceServicer):
    def __init__(self, revocations: RevocationLog, service_tokens: ServiceTokens, deletions: Deletions) -> None:
        self._revocations = revocations
        self._service_tokens = service_tokens
        self._deletions = deletions

    async def WatchRevocations(
        self, request: pb.WatchRevocationsRequest, context: CallContext
    ) -> AsyncIterator[pb.WatchRevocationsResponse]:
        async with aclosing(self._revocations.watch()) as watch:
            async for told in watch:
                yield mapping.told(told)

    async def MintServiceToken(
        self, request: pb.MintServiceTokenRequest, context: CallContext
    ) -> pb.MintServiceTokenResponse:
        token, expires_at = await self._service_tokens.mint(
            request.service, request.tenant, request.project, request.scopes
        )
        return pb.MintServiceTokenResponse(token=token, expires_at=expires_at)

    async def ListDeletedProjects(
        self, request: pb.ListDeletedProjectsRequest, context: CallContext
    ) -> pb.ListDeletedProjectsResponse:
        deletions, following = await self._deletions.pending(request.service, request.page_size, request.page_token)
        return pb.ListDeletedProjectsResponse(
            projects=map(mapping.deleted_project, deletions), next_page_token=following
        )

    async def AcknowledgeDeletedProject(
        self, request: pb.AcknowledgeDeletedProjectRequest, context: CallContext
    ) -> pb.AcknowledgeDeletedProjectResponse:
        await self._deletions.acknowledge(request.service, request.tenant, request.project)
        return pb.AcknowledgeDeletedProjectResponse()
