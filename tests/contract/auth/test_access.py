"""Isolation of tenants, and the scope that each RPC asks for."""

from collections.abc import Callable
from typing import Any

from core.rpc.headers import SERVICE_SECRET
from core.rpc.policy import policies_of
from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import key_service_pb2 as keys
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import trust_service_pb2 as trust
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_checks import C, refusal
from tests.support.auth_service import AuthClient, Person


class TestTenants:
    async def test_no_call_of_one_sees_a_record_of_the_other(self, auth: AuthClient, owner: Person) -> None:
        stranger = await auth.register("rival")
        member = await auth.join(owner, "m@example.com")
        lab = (
            await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        ).project
        token = await auth.api_token(owner.token)
        invited = await auth.call(auth.users.InviteUser, users.InviteUserRequest(email="n@example.com"), owner.token)
        attempts: list[tuple[Any, Any]] = [
            (auth.users.GetUser, users.GetUserRequest(id=member.user)),
            (auth.users.UpdateUser, users.UpdateUserRequest(id=member.user, name="Mine")),
            (auth.users.DeleteUser, users.DeleteUserRequest(id=member.user)),
            (auth.users.RevokeInvitation, users.RevokeInvitationRequest(id=invited.invitation.id)),
            (auth.projects.GetProject, projects.GetProjectRequest(id=lab.id)),
            (auth.projects.GetProject, projects.GetProjectRequest(id="lab")),
            (auth.projects.UpdateProject, projects.UpdateProjectRequest(id=lab.id, name="Mine")),
            (auth.projects.DeleteProject, projects.DeleteProjectRequest(id=lab.id)),
            (auth.tokens.CreateToken, tokens.CreateTokenRequest(label="mine", project_id=lab.id)),
            (auth.tokens.ListTokens, tokens.ListTokensRequest(project_id=lab.id)),
            (auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=token.id)),
            (auth.accounts.SwitchProject, accounts.SwitchProjectRequest(project_id=lab.id)),
        ]
        for rpc, request in attempts:
            refused = await refusal(auth.call(rpc, request, stranger.token))
            nowhere = type(request)()
            nowhere.CopyFrom(request)
            for name in ("id", "project_id"):
                if name in request.DESCRIPTOR.fields_by_name and getattr(request, name):
                    setattr(nowhere, name, "0" * 32)
            absent = await refusal(auth.call(rpc, nowhere, stranger.token))
            assert (refused.code, refused.message) == (C.NOT_FOUND, absent.message), request
        lists: list[tuple[Any, Any, str]] = [
            (auth.users.ListUsers, users.ListUsersRequest(), "users"),
            (auth.users.ListInvitations, users.ListInvitationsRequest(), "invitations"),
            (auth.projects.ListProjects, projects.ListProjectsRequest(), "projects"),
            (auth.tokens.ListTokens, tokens.ListTokensRequest(), "tokens"),
            (auth.audit.ListAuditEntries, audit.ListAuditEntriesRequest(), "entries"),
        ]
        for rpc, request, field in lists:
            theirs = {each.id for each in getattr(await auth.call(rpc, request, owner.token), field)}
            seen = {each.id for each in getattr(await auth.call(rpc, request, stranger.token), field)}
            assert theirs
            assert not theirs & seen

    async def test_one_tenants_page_token_is_nothing_to_the_other(self, auth: AuthClient, owner: Person) -> None:
        stranger = await auth.register("rival")
        await auth.join(owner, "m@example.com")
        first = await auth.call(auth.users.ListUsers, users.ListUsersRequest(page_size=1), owner.token)
        request = users.ListUsersRequest(page_size=1, page_token=first.next_page_token)
        assert (await refusal(auth.call(auth.users.ListUsers, request, stranger.token))).code is C.INVALID_ARGUMENT


SCOPED: list[tuple[str, str, Callable[[], Any]]] = [
    ("users", "ListUsers", users.ListUsersRequest),
    ("users", "GetUser", users.GetUserRequest),
    ("users", "UpdateUser", users.UpdateUserRequest),
    ("users", "DeleteUser", users.DeleteUserRequest),
    ("users", "InviteUser", users.InviteUserRequest),
    ("users", "ListInvitations", users.ListInvitationsRequest),
    ("users", "RevokeInvitation", users.RevokeInvitationRequest),
    ("projects", "ListProjects", projects.ListProjectsRequest),
    ("projects", "GetProject", projects.GetProjectRequest),
    ("projects", "CreateProject", projects.CreateProjectRequest),
    ("projects", "UpdateProject", projects.UpdateProjectRequest),
    ("projects", "DeleteProject", projects.DeleteProjectRequest),
    ("tokens", "ListTokens", tokens.ListTokensRequest),
    ("tokens", "CreateToken", tokens.CreateTokenRequest),
    ("tokens", "DeleteToken", tokens.DeleteTokenRequest),
    ("audit", "ListAuditEntries", audit.ListAuditEntriesRequest),
]


class TestAccess:
    def test_every_scoped_rpc_is_tried(self) -> None:
        files = (users, projects, tokens, audit, accounts, keys, trust)
        scoped = {
            policy.method.rpartition("/")[2]
            for file in files
            for service in file.DESCRIPTOR.services_by_name.values()
            for policy in policies_of(service).values()
            if policy.scope
        }
        assert scoped == {name for _, name, _ in SCOPED}

    async def test_without_the_scope_permission_comes_before_existence(self, auth: AuthClient, owner: Person) -> None:
        token = (await auth.api_token(owner.token, scopes=["inference:admin"])).token
        for service, name, request in SCOPED:
            refused = await refusal(auth.call(getattr(getattr(auth, service), name), request(), token))
            assert (refused.code, refused.reason) == (C.PERMISSION_DENIED, "MISSING_SCOPE"), name

    async def test_without_a_token_nothing(self, auth: AuthClient, owner: Person) -> None:
        for service, name, request in SCOPED:
            refused = await refusal(auth.call(getattr(getattr(auth, service), name), request()))
            assert refused.code is C.UNAUTHENTICATED, name

    async def test_a_plain_user_administers_nothing(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        allowed = {"ListProjects", "GetProject", "ListTokens", "CreateToken", "DeleteToken"}
        for service, name, request in SCOPED:
            if name not in allowed:
                refused = await refusal(auth.call(getattr(getattr(auth, service), name), request(), member.token))
                assert refused.code is C.PERMISSION_DENIED, name

    async def test_internal_rpcs_need_the_services_secret(self, auth: AuthClient, owner: Person) -> None:
        request = trust.MintServiceTokenRequest(service="x", tenant="acme", project=owner.project, scopes=["*"])
        for metadata in ({}, {SERVICE_SECRET: "wrong"}):
            refused = await refusal(auth.call(auth.trust.MintServiceToken, request, owner.token, **metadata))
            assert refused.code is C.UNAUTHENTICATED

    async def test_a_forged_tenant_header_moves_nobody(self, auth: AuthClient, owner: Person) -> None:
        stranger = await auth.register("rival")
        made = await auth.call(
            auth.accounts.GetSession,
            accounts.GetSessionRequest(),
            stranger.token,
            x_tenant_id="acme",
            x_user_id=owner.user,
        )
        assert made.tenant_id == "rival"
