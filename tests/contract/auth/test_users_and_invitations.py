"""Invitations, and the users who come of them: their rights and their end."""

import asyncio
from typing import Any

import pytest

from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_checks import C, identity_of, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person, Refused

pytestmark = pytest.mark.each_store


class TestInvitations:
    async def test_an_invitation_becomes_an_account(self, auth: AuthClient, owner: Person) -> None:
        request = users.InviteUserRequest(email="New@Example.com", name="Nia", role="project_admin")
        invited = await auth.call(auth.users.InviteUser, request, owner.token)
        assert (invited.invitation.email, invited.invitation.invited_by) == ("New@example.com", owner.user)
        listed = await auth.call(auth.users.ListInvitations, users.ListInvitationsRequest(), owner.token)
        assert [each.id for each in listed.invitations] == [invited.invitation.id]
        assert invited.token not in str(listed)
        accept = accounts.AcceptInvitationRequest(token=invited.token, password=PASSWORD)
        made = await auth.call(auth.accounts.AcceptInvitation, accept)
        assert (made.user.name, made.user.role, list(made.user.project_ids)) == (
            "Nia",
            "project_admin",
            [owner.project],
        )
        assert (made.tenant.slug, made.project_id) == ("acme", owner.project)
        assert await auth.works(made.token)
        assert await auth.works(await auth.login("new@example.com"))
        assert (await refusal(auth.call(auth.accounts.AcceptInvitation, accept))).code is C.NOT_FOUND
        left = await auth.call(auth.users.ListInvitations, users.ListInvitationsRequest(), owner.token)
        assert not left.invitations

    async def test_of_many_acceptances_at_once_one_wins(self, auth: AuthClient, owner: Person) -> None:
        invited = await auth.call(auth.users.InviteUser, users.InviteUserRequest(email="n@example.com"), owner.token)

        async def accept(number: int) -> Any:
            request = accounts.AcceptInvitationRequest(token=invited.token, password=f"{PASSWORD}-{number}")
            return await auth.call(auth.accounts.AcceptInvitation, request)

        outcomes = await asyncio.gather(*map(accept, range(10)), return_exceptions=True)
        losers = [each for each in outcomes if isinstance(each, Refused)]
        assert [each.code for each in losers] == [C.NOT_FOUND] * 9
        won = next(number for number, each in enumerate(outcomes) if not isinstance(each, Refused))
        assert await auth.works(await auth.login("n@example.com", f"{PASSWORD}-{won}"))

    @pytest.mark.parametrize("secret", ["", "acme", "acme.", "acme.x", ".x", "nowhere.x", "../main.x", "a" * 50_000])
    async def test_an_unknown_secret_opens_nothing(self, auth: AuthClient, owner: Person, secret: str) -> None:
        request = accounts.AcceptInvitationRequest(token=secret, password=PASSWORD)
        assert (await refusal(auth.call(auth.accounts.AcceptInvitation, request))).code is C.NOT_FOUND

    async def test_a_revoked_invitation_opens_nothing(self, auth: AuthClient, owner: Person) -> None:
        invited = await auth.call(auth.users.InviteUser, users.InviteUserRequest(email="n@example.com"), owner.token)
        revoke = users.RevokeInvitationRequest(id=invited.invitation.id)
        await auth.call(auth.users.RevokeInvitation, revoke, owner.token)
        request = accounts.AcceptInvitationRequest(token=invited.token, password=PASSWORD)
        assert (await refusal(auth.call(auth.accounts.AcceptInvitation, request))).code is C.NOT_FOUND
        assert (await refusal(auth.call(auth.users.RevokeInvitation, revoke, owner.token))).code is C.NOT_FOUND

    async def test_an_email_is_invited_once(self, auth: AuthClient, owner: Person) -> None:
        request = users.InviteUserRequest(email="N@example.com")
        outcomes = await asyncio.gather(
            *(auth.call(auth.users.InviteUser, request, owner.token) for _ in range(5)), return_exceptions=True
        )
        assert sorted(each.code.name for each in outcomes if isinstance(each, Refused)) == ["ALREADY_EXISTS"] * 4
        taken = users.InviteUserRequest(email=owner.email.upper())
        assert (await refusal(auth.call(auth.users.InviteUser, taken, owner.token))).code is C.ALREADY_EXISTS

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"email": "no"}, "email"),
            ({"email": "a@example.com", "role": "owner"}, "role"),
            ({"email": "a@example.com", "role": "king"}, "role"),
            ({"email": "a@example.com", "service_permissions": {"nonsense": "read"}}, "servicePermissions"),
            ({"email": "a@example.com", "service_permissions": {"users": "much"}}, "servicePermissions"),
            ({"email": "a@example.com", "project_ids": ["nope"]}, "projectIds"),
            ({"email": "a@example.com", "name": "x" * 201}, "name"),
        ],
    )
    async def test_refuses_what_cannot_be(
        self, auth: AuthClient, owner: Person, fields: dict[str, Any], field: str
    ) -> None:
        refused = await refusal(auth.call(auth.users.InviteUser, users.InviteUserRequest(**fields), owner.token))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)

    async def test_a_weak_password_leaves_the_invitation_open(self, auth: AuthClient, owner: Person) -> None:
        invited = await auth.call(auth.users.InviteUser, users.InviteUserRequest(email="n@example.com"), owner.token)
        weak = accounts.AcceptInvitationRequest(token=invited.token, password="weak")
        assert (await refusal(auth.call(auth.accounts.AcceptInvitation, weak))).field == "password"
        strong = accounts.AcceptInvitationRequest(token=invited.token, password=PASSWORD)
        await auth.call(auth.accounts.AcceptInvitation, strong)


class TestUsers:
    async def test_reading(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        first = await auth.call(auth.users.ListUsers, users.ListUsersRequest(page_size=1), owner.token)
        rest = users.ListUsersRequest(page_size=1, page_token=first.next_page_token)
        second = await auth.call(auth.users.ListUsers, rest, owner.token)
        assert [each.users[0].id for each in (first, second)] == [member.user, owner.user]
        assert second.next_page_token == ""
        one = await auth.call(auth.users.GetUser, users.GetUserRequest(id=member.user), owner.token)
        assert (one.user.id, one.user.record_id, one.user.role) == (member.user, member.user, "user")
        assert one.user.service_permissions["inference"] == "write"
        assert one.user.service_permissions["audit"] == "none"

    @pytest.mark.parametrize(("page_size", "page_token"), [(-1, ""), (1001, ""), (10, "garbage")])
    async def test_a_page_that_cannot_be(
        self, auth: AuthClient, owner: Person, page_size: int, page_token: str
    ) -> None:
        request = users.ListUsersRequest(page_size=page_size, page_token=page_token)
        assert (await refusal(auth.call(auth.users.ListUsers, request, owner.token))).code is C.INVALID_ARGUMENT

    async def test_a_change_of_rights_ends_sessions_and_excessive_tokens(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com", "project_admin")
        small = await auth.api_token(member.token, scopes=["inference:read"])
        large = await auth.api_token(member.token, scopes=["models:admin"])
        invited = users.InviteUserRequest(email="x@example.com")
        assert (await refusal(auth.call(auth.users.InviteUser, invited, member.token))).code is C.PERMISSION_DENIED
        demoted = await auth.call(
            auth.users.UpdateUser, users.UpdateUserRequest(id=member.user, role="user"), owner.token
        )
        assert demoted.user.role == "user"
        assert not await auth.works(member.token)
        assert not await auth.works(large.token)
        assert await auth.works(small.token)
        assert await auth.works(await auth.login(member.email))

    async def test_losing_a_project_revokes_the_tokens_in_it(self, auth: AuthClient, owner: Person) -> None:
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        member = await auth.join(owner, "m@example.com", project_ids=[owner.project, lab.project.id])
        here = await auth.api_token(member.token, project_id=owner.project)
        there = await auth.api_token(member.token, project_id=lab.project.id)
        change = users.UpdateUserRequest(id=member.user, project_ids=[owner.project], set_project_ids=True)
        await auth.call(auth.users.UpdateUser, change, owner.token)
        assert await auth.works(here.token)
        assert not await auth.works(there.token)

    async def test_a_new_name_ends_nothing(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        changed = await auth.call(
            auth.users.UpdateUser, users.UpdateUserRequest(id=member.user, name="Mia"), owner.token
        )
        assert changed.user.name == "Mia"
        assert await auth.works(member.token)

    async def test_overrides_raise_and_lower_single_areas(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        change = users.UpdateUserRequest(
            id=member.user, service_permissions={"inference": "none", "audit": "read"}, set_service_permissions=True
        )
        changed = await auth.call(auth.users.UpdateUser, change, owner.token)
        assert changed.user.service_permissions["inference"] == "none"
        token = await auth.login(member.email)
        await auth.call(auth.audit.ListAuditEntries, audit.ListAuditEntriesRequest(), token)
        assert not [each for each in identity_of(auth, token).scopes if each.startswith("inference:")]
        kept = users.UpdateUserRequest(id=member.user, service_permissions={"audit": "none"}, name="Mia")
        changed = await auth.call(auth.users.UpdateUser, kept, owner.token)
        assert changed.user.service_permissions["audit"] == "read"
        cleared = users.UpdateUserRequest(id=member.user, set_service_permissions=True)
        changed = await auth.call(auth.users.UpdateUser, cleared, owner.token)
        assert changed.user.service_permissions["inference"] == "write"

    async def test_nobody_gives_away_more_than_they_hold(self, auth: AuthClient, owner: Person) -> None:
        manages = {"users": "admin"}
        member = await auth.join(owner, "m@example.com", service_permissions=manages)
        other = await auth.join(owner, "o@example.com")
        admin = await auth.join(owner, "a@example.com", "admin")
        attempts: list[tuple[Any, Any, str]] = [
            (auth.users.UpdateUser, users.UpdateUserRequest(id=member.user, role="admin"), member.token),
            (auth.users.UpdateUser, users.UpdateUserRequest(id=other.user, role="project_admin"), member.token),
            (auth.users.UpdateUser, users.UpdateUserRequest(id=admin.user, status="disabled"), member.token),
            (auth.users.UpdateUser, users.UpdateUserRequest(id=owner.user, name="Mine"), admin.token),
            (auth.users.UpdateUser, users.UpdateUserRequest(id=admin.user, role="owner"), admin.token),
            (auth.users.DeleteUser, users.DeleteUserRequest(id=owner.user), admin.token),
            (auth.users.InviteUser, users.InviteUserRequest(email="n@example.com", role="admin"), member.token),
            (
                auth.users.InviteUser,
                users.InviteUserRequest(email="n@example.com", service_permissions={"audit": "read"}),
                member.token,
            ),
        ]
        for rpc, request, token in attempts:
            assert (await refusal(auth.call(rpc, request, token))).code is C.PERMISSION_DENIED, request
        await auth.call(auth.users.UpdateUser, users.UpdateUserRequest(id=other.user, name="Fine"), member.token)
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        elsewhere = await auth.join(owner, "e@example.com", project_ids=[lab.project.id])
        for rpc, request in (
            (auth.users.UpdateUser, users.UpdateUserRequest(id=elsewhere.user, status="disabled")),
            (auth.users.DeleteUser, users.DeleteUserRequest(id=elsewhere.user)),
        ):
            assert (await refusal(auth.call(rpc, request, member.token))).code is C.NOT_FOUND, request
        both = await auth.join(owner, "b@example.com", project_ids=[owner.project, lab.project.id])
        request = users.UpdateUserRequest(id=both.user, status="disabled")
        assert (await refusal(auth.call(auth.users.UpdateUser, request, member.token))).code is C.PERMISSION_DENIED
        weak_admin_token = await auth.api_token(admin.token, scopes=["users:admin"])
        request = users.UpdateUserRequest(id=other.user, role="project_admin")
        refused = await refusal(auth.call(auth.users.UpdateUser, request, weak_admin_token.token))
        assert refused.code is C.PERMISSION_DENIED

    async def test_there_is_always_an_owner(self, auth: AuthClient, owner: Person) -> None:
        step_down = users.UpdateUserRequest(id=owner.user, role="admin")
        refused = await refusal(auth.call(auth.users.UpdateUser, step_down, owner.token))
        assert (refused.code, refused.reason) == (C.FAILED_PRECONDITION, "LAST_OWNER")
        delete = users.DeleteUserRequest(id=owner.user)
        assert (await refusal(auth.call(auth.users.DeleteUser, delete, owner.token))).code is C.FAILED_PRECONDITION
        heir = await auth.join(owner, "heir@example.com", "admin")
        await auth.call(auth.users.UpdateUser, users.UpdateUserRequest(id=heir.user, role="owner"), owner.token)
        await auth.call(auth.users.UpdateUser, step_down, owner.token)
        heirs_token = await auth.login(heir.email)
        await auth.call(auth.users.DeleteUser, delete, heirs_token)

    async def test_two_owners_who_step_down_at_once_leave_one(self, auth: AuthClient, owner: Person) -> None:
        other = await auth.join(owner, "other@example.com", "admin")
        await auth.call(auth.users.UpdateUser, users.UpdateUserRequest(id=other.user, role="owner"), owner.token)
        others_token = await auth.login(other.email)
        await asyncio.gather(
            auth.call(auth.users.UpdateUser, users.UpdateUserRequest(id=owner.user, role="admin"), others_token),
            auth.call(auth.users.UpdateUser, users.UpdateUserRequest(id=other.user, role="admin"), owner.token),
            return_exceptions=True,
        )
        listed = await auth.call(auth.users.ListUsers, users.ListUsersRequest(), await auth.login(owner.email))
        assert "owner" in [each.role for each in listed.users]

    async def test_deleting_ends_everything_of_the_user(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        token = await auth.api_token(member.token)
        await auth.call(auth.users.DeleteUser, users.DeleteUserRequest(id=member.user), owner.token)
        assert not await auth.works(member.token)
        assert not await auth.works(token.token)
        assert (await refusal(auth.login(member.email))).code is C.UNAUTHENTICATED
        gone = users.GetUserRequest(id=member.user)
        assert (await refusal(auth.call(auth.users.GetUser, gone, owner.token))).code is C.NOT_FOUND
        again = await auth.join(owner, member.email)
        assert await auth.works(again.token)
        assert not await auth.works(token.token)

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"role": "king"}, "role"),
            ({"role": ""}, "role"),
            ({"status": "asleep"}, "status"),
            ({"name": ""}, "name"),
            ({"project_ids": ["nope"], "set_project_ids": True}, "projectIds"),
            ({"service_permissions": {"x": "read"}, "set_service_permissions": True}, "servicePermissions"),
        ],
    )
    async def test_refuses_what_cannot_be(
        self, auth: AuthClient, owner: Person, fields: dict[str, Any], field: str
    ) -> None:
        member = await auth.join(owner, "m@example.com")
        request = users.UpdateUserRequest(id=member.user, **fields)
        refused = await refusal(auth.call(auth.users.UpdateUser, request, owner.token))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)
