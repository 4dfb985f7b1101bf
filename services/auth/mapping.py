"""Conversion between the contract's messages and the domain's values. Pure."""

from math import inf

from core.audit.records import AuditEntry
from core.context import Identity
from core.revocations import Revocation
from core.rpc.values import seconds_of, timestamp_of
from core.storage.table import to_document
from portico.auth.v1 import (
    account_service_pb2,
    audit_service_pb2,
    key_service_pb2,
    project_service_pb2,
    token_service_pb2,
    trust_service_pb2,
    user_service_pb2,
)
from services.auth.domain.audit import AuditFilter
from services.auth.domain.callers import Caller
from services.auth.domain.permissions import levels, levels_from_scopes
from services.auth.domain.records import ApiToken, Deletion, Invitation, ProjectRecord, SigningKey, TenantRecord, User
from services.auth.domain.revocation_log import Told
from services.auth.domain.sessions import Session
from services.auth.domain.tokens import NewToken, may_delete
from services.auth.domain.users import UserChange


def tenant(tenant_record: TenantRecord) -> account_service_pb2.Tenant:
    return account_service_pb2.Tenant(
        id=tenant_record.slug,
        slug=tenant_record.slug,
        company_name=tenant_record.company_name,
        created_at=timestamp_of(tenant_record.created_at),
    )


def user(record: User) -> user_service_pb2.User:
    return user_service_pb2.User(
        id=record.id,
        record_id=record.id,
        email=record.email,
        name=record.name,
        role=record.role,
        service_permissions=levels(record.role, record.overrides),
        project_ids=record.project_ids,
        status=record.status,
        created_at=timestamp_of(record.created_at),
        last_login_at=timestamp_of(record.last_login_at),
    )


def session(made: Session) -> account_service_pb2.Session:
    return account_service_pb2.Session(
        token=made.token, expires_at=timestamp_of(made.expires_at), project_id=made.project_id
    )


def get_session(identity: Identity) -> account_service_pb2.GetSessionResponse:
    return account_service_pb2.GetSessionResponse(
        authenticated=True,
        kind=identity.kind.value,
        tenant_id=identity.tenant.slug,
        project_id=identity.project.id,
        user_id=identity.subject,
        scopes=sorted(identity.scopes),
        expires_at=timestamp_of(identity.expires_at),
    )


def user_change(request: user_service_pb2.UpdateUserRequest) -> UserChange:
    return UserChange(
        name=request.name if request.HasField("name") else None,
        role=request.role if request.HasField("role") else None,
        overrides=dict(request.service_permissions) if request.set_service_permissions else None,
        project_ids=tuple(request.project_ids) if request.set_project_ids else None,
        status=request.status if request.HasField("status") else None,
    )


def invitation(record: Invitation) -> user_service_pb2.Invitation:
    return user_service_pb2.Invitation(
        id=record.id,
        email=record.email,
        name=record.name,
        role=record.role,
        invited_by=record.invited_by,
        created_at=timestamp_of(record.created_at),
        expires_at=timestamp_of(record.expires_at),
    )


def project(record: ProjectRecord) -> project_service_pb2.Project:
    return project_service_pb2.Project(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        created_at=timestamp_of(record.created_at),
    )


def new_token(request: token_service_pb2.CreateTokenRequest) -> NewToken:
    return NewToken(
        label=request.label,
        project=request.project_id,
        scopes=tuple(request.scopes),
        levels=dict(request.service_permissions),
        expires_at=seconds_of(request.expires_at) if request.HasField("expires_at") else None,
    )


def api_token(record: ApiToken, caller: Caller) -> token_service_pb2.ApiToken:
    return token_service_pb2.ApiToken(
        id=record.id,
        record_id=record.id,
        label=record.label,
        token_prefix=f"ptc_...{record.suffix}",
        project_id=record.project_id,
        user_id=record.user_id,
        scopes=record.scopes,
        service_permissions=levels_from_scopes(record.scopes),
        created_at=timestamp_of(record.created_at),
        expires_at=timestamp_of(record.expires_at),
        can_delete=may_delete(caller, record),
        parent_id=record.parent_id,
    )


def created_token(record: ApiToken, token: str) -> token_service_pb2.CreateTokenResponse:
    return token_service_pb2.CreateTokenResponse(
        id=record.id,
        label=record.label,
        message="Keep this token safe: it is not shown again.",
        token=token,
        service_permissions=levels_from_scopes(record.scopes),
        scopes=record.scopes,
        project_id=record.project_id,
        expires_at=timestamp_of(record.expires_at),
        parent_id=record.parent_id,
    )


def audit_entry(record: AuditEntry) -> audit_service_pb2.AuditEntry:
    return audit_service_pb2.AuditEntry(
        id=record.id,
        created_at=timestamp_of(record.created_at),
        action=record.action,
        outcome=record.outcome,
        actor_kind=record.actor_kind,
        actor_id=record.actor_id,
        resource_type=record.resource_type,
        resource_id=record.resource_id,
        project_id=record.project_id,
        request_id=record.request_id,
        ip_address=record.ip_address,
        metadata=record.metadata,
        token_id=record.token_id,
        user_agent=record.user_agent,
        reason=record.reason,
        count=record.count,
        last_at=timestamp_of(record.last_at),
    )


def audit_filter(request: audit_service_pb2.ListAuditEntriesRequest) -> AuditFilter:
    return AuditFilter(
        action=request.action,
        actor_id=request.actor_id,
        project_id=request.project_id,
        resource_type=request.resource_type,
        resource_id=request.resource_id,
        outcome=request.outcome,
        since=seconds_of(getattr(request, "from")) if request.HasField("from") else None,
        until=seconds_of(request.to) if request.HasField("to") else None,
    )


def jwk(key: SigningKey) -> key_service_pb2.Jwk:
    return key_service_pb2.Jwk(kty="EC", crv="P-256", x=key.x, y=key.y, kid=key.id, alg="ES256", use="sig")


def revocation(value: Revocation) -> trust_service_pb2.Revocation:
    message = trust_service_pb2.Revocation(tenant=value.tenant, expires_at=value.expires_at)
    if value.token_id:
        message.token_id = value.token_id
        message.api_token = value.api
        message.user_id = value.subject
        message.issued_at = 0.0 if value.issued_at == inf else value.issued_at
        return message
    if value.suspended is not None:
        message.suspension.suspended = value.suspended
        message.suspension.changed_at = value.issued_before
        return message
    message.issued_before = value.issued_before
    if value.everything:
        message.all_tokens = True
    elif value.api:
        message.api_tokens = True
        message.kept_token_ids.extend(value.kept)
    else:
        message.subject = value.subject
    return message


def told(message: Told) -> trust_service_pb2.WatchRevocationsResponse:
    return trust_service_pb2.WatchRevocationsResponse(
        snapshot=message.snapshot, revocations=map(revocation, message.revocations), more=message.more
    )


def deleted_project(deletion: Deletion) -> trust_service_pb2.DeletedProject:
    actor = to_document(deletion.actor)
    return trust_service_pb2.DeletedProject(tenant=deletion.tenant, project=deletion.project, actor=actor)
