"""AuditService."""

from core.rpc.call import CallContext
from portico.auth.v1 import audit_service_pb2 as pb
from portico.auth.v1 import audit_service_pb2_grpc
from services.auth import mapping
from services.auth.domain.audit import Audit


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: CallContext
    ) -> pb.ListAuditEntriesResponse:
        entries, following = await self._audit.page(
            mapping.audit_filter(request), request.page_size, request.page_token
        )
        return pb.ListAuditEntriesResponse(entries=map(mapping.audit_entry, entries), next_page_token=following)
