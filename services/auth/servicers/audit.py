"""AuditService."""

# ruff: noqa: N802  # RPCs are named by the contract

from grpc.aio import ServicerContext

from portico.auth.v1 import audit_service_pb2 as pb
from portico.auth.v1 import audit_service_pb2_grpc
from services.auth import convert
from services.auth.domain.audit import Audit
from services.auth.domain.callers import Callers


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    def __init__(self, audit: Audit, callers: Callers) -> None:
        self._audit = audit
        self._callers = callers

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: ServicerContext
    ) -> pb.ListAuditEntriesResponse:
        caller = await self._callers.current()
        entries, following = await self._audit.page(
            caller.tenant,
            project_ids=None if caller.sees_all else caller.project_ids,
            action=request.action,
            actor_id=request.actor_id,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListAuditEntriesResponse(entries=map(convert.audit_entry, entries), next_page_token=following)
