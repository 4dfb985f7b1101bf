"""Limits of a token's authority: nobody gives or sees beyond it, and an API token reaches its own project alone."""

from dataclasses import dataclass
from typing import Any

import pytest

from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_checks import C, refusal
from tests.support.auth_service import AuthClient, Person


@dataclass
class TenantScenario:
    """The projects "default" and "lab" and their people. `bound` is an API token of the owner for all of "default"."""

    auth: AuthClient
    owner: Person
    lab: str
    here: Person
    there: Person
    both: Person
    admin: Person
    bound: str

    async def call(self, rpc: Any, request: Any) -> Any:
        """With the bound token."""
        return await self.auth.call(rpc, request, self.bound)

    async def code(self, rpc: Any, request: Any) -> Any:
        return (await refusal(self.call(rpc, request))).code


@pytest.fixture
async def scenario(auth: AuthClient, owner: Person) -> TenantScenario:
    made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
    lab = made.project.id
    return TenantScenario(
        auth,
        owner,
        lab,
        here=await auth.join(owner, "here@example.com"),
        there=await auth.join(owner, "there@example.com", project_ids=[lab]),
        both=await auth.join(owner, "both@example.com", project_ids=[owner.project, lab]),
        admin=await auth.join(owner, "admin@example.com", "admin"),
        bound=(await auth.api_token(owner.token, project_id=owner.project)).token,
    )


class TestPeople:
    async def test_a_bound_token_invites_nobody_who_sees_all_projects(self, scenario: TenantScenario) -> None:
        """It could invite an administrator, who then saw every project of the tenant."""
        invite = scenario.auth.users.InviteUser
        wanted = users.InviteUserRequest(email="n@example.com", role="admin")
        assert await scenario.code(invite, wanted) is C.PERMISSION_DENIED
        elsewhere = users.InviteUserRequest(email="n@example.com", project_ids=[scenario.lab])
        assert await scenario.code(invite, elsewhere) is C.INVALID_ARGUMENT
        made = await scenario.call(invite, users.InviteUserRequest(email="n@example.com", role="project_admin"))
        assert made.invitation.role == "project_admin"

    @pytest.mark.parametrize("role", ["admin", "owner"])
    async def test_a_bound_token_makes_nobody_see_all_projects(self, scenario: TenantScenario, role: str) -> None:
        change = users.UpdateUserRequest(id=scenario.here.user, role=role)
        assert await scenario.code(scenario.auth.users.UpdateUser, change) is C.PERMISSION_DENIED

    async def test_a_bound_token_changes_nobody_who_reaches_further(self, scenario: TenantScenario) -> None:
        update, delete = scenario.auth.users.UpdateUser, scenario.auth.users.DeleteUser
        for person in (scenario.owner, scenario.admin, scenario.both):
            changes: list[dict[str, Any]] = [{"status": "disabled"}, {"role": "user"}, {"name": "Mine"}]
            for change in changes:
                request = users.UpdateUserRequest(id=person.user, **change)
                assert await scenario.code(update, request) is C.PERMISSION_DENIED
            assert await scenario.code(delete, users.DeleteUserRequest(id=person.user)) is C.PERMISSION_DENIED

    async def test_a_bound_token_does_not_add_anybody_to_another_project(self, scenario: TenantScenario) -> None:
        change = users.UpdateUserRequest(
            id=scenario.here.user, project_ids=[scenario.owner.project, scenario.lab], set_project_ids=True
        )
        assert await scenario.code(scenario.auth.users.UpdateUser, change) is C.INVALID_ARGUMENT

    async def test_who_works_elsewhere_is_not_there(self, scenario: TenantScenario) -> None:
        calls = [
            (scenario.auth.users.GetUser, users.GetUserRequest(id=scenario.there.user)),
            (scenario.auth.users.UpdateUser, users.UpdateUserRequest(id=scenario.there.user, name="Mine")),
            (scenario.auth.users.DeleteUser, users.DeleteUserRequest(id=scenario.there.user)),
        ]
        for rpc, request in calls:
            assert await scenario.code(rpc, request) is C.NOT_FOUND
        listed = await scenario.call(scenario.auth.users.ListUsers, users.ListUsersRequest())
        seen = {each.id for each in listed.users}
        assert seen == {each.user for each in (scenario.owner, scenario.admin, scenario.both, scenario.here)}

    async def test_a_bound_token_manages_the_people_of_its_project(self, scenario: TenantScenario) -> None:
        change = users.UpdateUserRequest(id=scenario.here.user, role="project_admin")
        assert (await scenario.call(scenario.auth.users.UpdateUser, change)).user.role == "project_admin"
        await scenario.call(scenario.auth.users.DeleteUser, users.DeleteUserRequest(id=scenario.here.user))

    async def test_invitations_to_other_projects_are_not_there(self, scenario: TenantScenario) -> None:
        invited = {}
        for name, project in (("here", scenario.owner.project), ("there", scenario.lab)):
            request = users.InviteUserRequest(email=f"{name}@new.example.com", project_ids=[project])
            made = await scenario.auth.call(scenario.auth.users.InviteUser, request, scenario.owner.token)
            invited[name] = made.invitation.id
        listed = await scenario.call(scenario.auth.users.ListInvitations, users.ListInvitationsRequest())
        assert [each.id for each in listed.invitations] == [invited["here"]]
        revoke = scenario.auth.users.RevokeInvitation
        assert await scenario.code(revoke, users.RevokeInvitationRequest(id=invited["there"])) is C.NOT_FOUND
        await scenario.call(revoke, users.RevokeInvitationRequest(id=invited["here"]))

    async def test_a_bound_token_takes_no_invitation_back_that_reaches_further(self, scenario: TenantScenario) -> None:
        further: list[dict[str, Any]] = [{"role": "admin"}, {"project_ids": [scenario.owner.project, scenario.lab]}]
        for fields in further:
            request = users.InviteUserRequest(email="n@example.com", **fields)
            made = await scenario.auth.call(scenario.auth.users.InviteUser, request, scenario.owner.token)
            revoke = users.RevokeInvitationRequest(id=made.invitation.id)
            assert await scenario.code(scenario.auth.users.RevokeInvitation, revoke) is C.PERMISSION_DENIED
            await scenario.auth.call(scenario.auth.users.RevokeInvitation, revoke, scenario.owner.token)

    async def test_a_project_admin_who_has_signed_in_sees_their_own_people_alone(
        self, scenario: TenantScenario
    ) -> None:
        member = await scenario.auth.join(scenario.owner, "pa@example.com", "project_admin", project_ids=[scenario.lab])
        listed = await scenario.auth.call(scenario.auth.users.ListUsers, users.ListUsersRequest(), member.token)
        seen = {each.id for each in listed.users}
        assert seen == {each.user for each in (scenario.owner, scenario.admin, scenario.both, scenario.there, member)}


class TestProjects:
    async def test_a_bound_token_sees_and_changes_its_own_project_alone(self, scenario: TenantScenario) -> None:
        listed = await scenario.call(scenario.auth.projects.ListProjects, projects.ListProjectsRequest())
        assert [each.id for each in listed.projects] == [scenario.owner.project]
        calls = [
            (scenario.auth.projects.GetProject, projects.GetProjectRequest(id=scenario.lab)),
            (scenario.auth.projects.GetProject, projects.GetProjectRequest(id="lab")),
            (scenario.auth.projects.UpdateProject, projects.UpdateProjectRequest(id=scenario.lab, name="Mine")),
            (scenario.auth.projects.DeleteProject, projects.DeleteProjectRequest(id=scenario.lab)),
        ]
        for rpc, request in calls:
            assert await scenario.code(rpc, request) is C.NOT_FOUND
        change = projects.UpdateProjectRequest(id="default", name="Ours")
        assert (await scenario.call(scenario.auth.projects.UpdateProject, change)).project.name == "Ours"

    async def test_a_bound_token_makes_no_projects(self, scenario: TenantScenario) -> None:
        request = projects.CreateProjectRequest(name="New")
        assert await scenario.code(scenario.auth.projects.CreateProject, request) is C.PERMISSION_DENIED

    async def test_a_bound_token_does_not_become_a_session_elsewhere(self, scenario: TenantScenario) -> None:
        request = accounts.SwitchProjectRequest(project_id=scenario.lab)
        assert await scenario.code(scenario.auth.accounts.SwitchProject, request) is C.FAILED_PRECONDITION


class TestTokens:
    async def test_tokens_of_other_projects_and_people_are_not_there(self, scenario: TenantScenario) -> None:
        auth = scenario.auth
        elsewhere = await auth.api_token(scenario.owner.token, project_id=scenario.lab)
        another = await auth.api_token(scenario.here.token)
        listed = await scenario.call(auth.tokens.ListTokens, tokens.ListTokensRequest())
        assert {elsewhere.id, another.id}.isdisjoint(each.id for each in listed.tokens)
        inside = tokens.ListTokensRequest(project_id=scenario.lab)
        assert await scenario.code(auth.tokens.ListTokens, inside) is C.NOT_FOUND
        create = tokens.CreateTokenRequest(label="more", project_id=scenario.lab)
        assert await scenario.code(auth.tokens.CreateToken, create) is C.NOT_FOUND
        for each in (elsewhere, another):
            assert await scenario.code(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=each.id)) is C.NOT_FOUND

    async def test_an_owner_who_has_signed_in_reaches_everything(self, scenario: TenantScenario) -> None:
        auth, session = scenario.auth, scenario.owner.token
        made = await auth.api_token(session, project_id="lab")
        listed = await auth.call(auth.tokens.ListTokens, tokens.ListTokensRequest(), session)
        assert made.id in [each.id for each in listed.tokens]
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=made.id), session)
        change = users.UpdateUserRequest(id=scenario.here.user, role="admin")
        await auth.call(auth.users.UpdateUser, change, session)


class TestAudit:
    async def test_what_was_done_in_other_projects_is_not_shown(self, scenario: TenantScenario) -> None:
        auth = scenario.auth
        in_lab = await auth.login(scenario.owner.email, project_id="lab")
        hidden = await auth.api_token(in_lab, label="made in the lab")
        shown = await auth.api_token(scenario.owner.token, label="made here")
        listed = await scenario.call(auth.audit.ListAuditEntries, audit.ListAuditEntriesRequest())
        assert {each.project_id for each in listed.entries} == {scenario.owner.project}
        ids = {each.resource_id for each in listed.entries}
        assert shown.id in ids
        assert hidden.id not in ids
        by_action = audit.ListAuditEntriesRequest(action="token.create", actor_id=scenario.owner.user)
        assert hidden.id not in str(await scenario.call(auth.audit.ListAuditEntries, by_action))
        whole = await auth.call(auth.audit.ListAuditEntries, audit.ListAuditEntriesRequest(), scenario.owner.token)
        assert hidden.id in str(whole)
        assert "tenant.create" in str(whole)
