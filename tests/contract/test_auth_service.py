"""The auth service as its callers meet it: a real server, a real store, real tokens, every RPC."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from jwt import PyJWKSet

from core import config
from core.context import Identity, Kind
from core.identity import KeyRing, Revocations, TokenVerifier
from core.rpc.chain import SERVICE_SECRET
from core.rpc.policy import policies_of
from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import key_service_pb2 as keys
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import trust_service_pb2 as trust
from portico.auth.v1 import user_service_pb2 as users
from services.auth.commands import CommandSettings, open_domain
from tests.support.auth_service import PASSWORD, SECRET, AuthClient, Person, Refused, auth_service, environment

C = grpc.StatusCode
NEW_PASSWORD = "Another-Horse-2"


@pytest.fixture
async def auth(tmp_path: Path) -> AsyncIterator[AuthClient]:
    async with auth_service(tmp_path / "data") as client:
        yield client


@pytest.fixture
async def owner(auth: AuthClient) -> Person:
    return await auth.register("acme")


async def refusal(awaitable: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


def identity_of(auth: AuthClient, token: str) -> Identity:
    return auth.running.platform.verifier.verify(token)


class TestRegister:
    async def test_makes_a_company_its_owner_a_project_and_a_session(self, auth: AuthClient) -> None:
        made = await auth.call(
            auth.accounts.Register,
            accounts.RegisterRequest(
                email="Ann@Example.com", password=PASSWORD, name="Ann Ö.", company_name="Müller & Söhne GmbH"
            ),
        )
        assert made.tenant.slug == made.tenant.id == "muller-sohne-gmbh"
        assert made.tenant.company_name == "Müller & Söhne GmbH"
        assert (made.user.role, made.user.status, made.user.email) == ("owner", "active", "Ann@example.com")
        assert set(made.user.service_permissions.values()) == {"admin"}
        identity = identity_of(auth, made.token)
        assert (identity.tenant.slug, identity.project.id) == ("muller-sohne-gmbh", made.project_id)
        assert (identity.subject, identity.kind, identity.scopes) == (made.user.id, Kind.SESSION, frozenset({"*"}))
        assert identity.expires_at == made.expires_at.ToSeconds()
        listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), made.token)
        assert [(each.id, each.key) for each in listed.projects] == [(made.project_id, "default")]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"email": "nobody"}, "email"),
            ({"email": "a@b.example.com\n"}, ""),
            ({"email": "a" * 250 + "@example.com"}, "email"),
            ({"email": "x\x00@example.com"}, "email"),
            ({"password": "short1A!"[:7]}, "password"),
            ({"password": "alllower1!"}, "password"),
            ({"password": "ALLUPPER1!"}, "password"),
            ({"password": "NoDigits!!"}, "password"),
            ({"password": "NoOther123"}, "password"),
            ({"password": "Aa1!" * 65}, "password"),
            ({"name": ""}, "name"),
            ({"name": "  "}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "tab\there"}, "name"),
            ({"name": "\u202egnp.exe"}, "name"),
            ({"company_name": ""}, "companyName"),
            ({"company_name": "東京"}, "companyName"),
            ({"company_name": "---"}, "companyName"),
            ({"company_name": "Admin"}, "companyName"),
            ({"company_name": "main"}, "companyName"),
            ({"company_name": "x" * 201}, "companyName"),
        ],
    )
    async def test_refuses_what_cannot_be(self, auth: AuthClient, change: dict[str, str], field: str) -> None:
        good = {"email": "a@example.com", "password": PASSWORD, "name": "A", "company_name": "Acme"}
        request = accounts.RegisterRequest(**{**good, **change})
        if not field:  # surrounding space is nobody's mistake
            await auth.call(auth.accounts.Register, request)
            return
        refused = await refusal(auth.call(auth.accounts.Register, request))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)

    async def test_a_slug_is_taken_once(self, auth: AuthClient, owner: Person) -> None:
        refused = await refusal(auth.register("ACME!", "other@example.com"))
        assert (refused.code, refused.field) == (C.ALREADY_EXISTS, "companyName")

    async def test_of_twenty_at_once_one_wins(self, auth: AuthClient) -> None:
        outcomes = await asyncio.gather(
            *(auth.register("Race", f"u{number}@example.com") for number in range(20)), return_exceptions=True
        )
        winners = [each for each in outcomes if isinstance(each, Person)]
        losers = [each for each in outcomes if isinstance(each, Refused)]
        assert len(winners) == 1
        assert [each.code for each in losers] == [C.ALREADY_EXISTS] * 19
        listed = await auth.call(auth.users.ListUsers, users.ListUsersRequest(), winners[0].token)
        assert [each.email for each in listed.users] == [winners[0].email]

    async def test_closed_registration_refuses(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_REGISTRATION="closed") as client:
            assert (await refusal(client.register("acme"))).code is C.PERMISSION_DENIED

    async def test_is_limited_by_address(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_AUTH_REGISTER_LIMIT="2/hour") as client:

            async def attempt(address: str, company: str, password: str = PASSWORD) -> None:
                request = accounts.RegisterRequest(
                    email="a@example.com", password=password, name="A", company_name=company
                )
                await client.call(client.accounts.Register, request, x_client_address=address)

            for _ in range(3):  # a mistyped form costs no attempt
                assert (await refusal(attempt("192.0.2.1", "one", "weak"))).code is C.INVALID_ARGUMENT
            await attempt("192.0.2.1", "one")
            await attempt("192.0.2.1", "two")
            refused = await refusal(attempt("192.0.2.1", "three"))
            assert refused.code is C.RESOURCE_EXHAUSTED
            assert refused.retry_after > 0
            await attempt("192.0.2.2", "three")


class TestLogin:
    async def test_takes_the_email_in_any_case(self, auth: AuthClient, owner: Person) -> None:
        assert identity_of(auth, await auth.login(owner.email.upper())).subject == owner.user

    @pytest.mark.parametrize(
        "fields",
        [
            {"password": "Wrong-Horse-1"},
            {"password": ""},
            {"email": "stranger@example.com"},
            {"email": "not an address"},
            {"email": ""},
            {"slug": "elsewhere"},
            {"slug": "../main"},
            {"slug": "x" * 5000},
        ],
    )
    async def test_one_answer_for_every_wrong_credential(
        self, auth: AuthClient, owner: Person, fields: dict[str, str]
    ) -> None:
        given = {"email": owner.email, "password": PASSWORD, **fields}
        refused = await refusal(auth.call(auth.accounts.Login, accounts.LoginRequest(**given)))
        assert (refused.code, refused.message) == (C.UNAUTHENTICATED, "Wrong email or password.")

    async def test_an_email_of_two_companies_needs_the_slug(self, auth: AuthClient) -> None:
        first = await auth.register("first", "both@example.com")
        second = await auth.register("second", "both@example.com")
        refused = await refusal(auth.login("both@example.com"))
        assert (refused.code, refused.field) == (C.FAILED_PRECONDITION, "slug")
        for person in (first, second):
            assert identity_of(auth, await auth.login("both@example.com", slug=person.tenant)).subject == person.user

    async def test_that_an_email_has_several_companies_is_told_to_its_owner_alone(self, auth: AuthClient) -> None:
        await auth.register("first", "both@example.com")
        await auth.register("second", "both@example.com")
        assert (await refusal(auth.login("both@example.com", "Wrong-Horse-1"))).code is C.UNAUTHENTICATED

    async def test_goes_to_the_project_asked_for(self, auth: AuthClient, owner: Person) -> None:
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        for reference in (made.project.id, "lab"):
            token = await auth.login(owner.email, project_id=reference)
            assert identity_of(auth, token).project.id == made.project.id
        assert (await refusal(auth.login(owner.email, project_id="nope"))).code is C.NOT_FOUND

    async def test_is_limited_by_account_and_address_together(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_AUTH_LOGIN_LIMIT="3/15 minutes") as client:
            owner = await client.register("acme")

            async def attempt(email: str, address: str) -> Any:
                request = accounts.LoginRequest(email=email, password=PASSWORD)
                return await client.call(client.accounts.Login, request, x_client_address=address)

            for _ in range(3):
                await attempt(owner.email, "192.0.2.1")
            assert (await refusal(attempt(owner.email.upper(), "192.0.2.1"))).code is C.RESOURCE_EXHAUSTED
            await attempt(owner.email, "192.0.2.2")
            assert (await refusal(attempt("other@example.com", "192.0.2.1"))).code is C.UNAUTHENTICATED

    async def test_a_disabled_user_cannot_sign_in(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        change = users.UpdateUserRequest(id=member.user, status="disabled")
        await auth.call(auth.users.UpdateUser, change, owner.token)
        assert (await refusal(auth.login(member.email))).code is C.UNAUTHENTICATED
        assert not await auth.works(member.token)
        await auth.call(auth.users.UpdateUser, users.UpdateUserRequest(id=member.user, status="active"), owner.token)
        assert await auth.works(await auth.login(member.email))
        assert not await auth.works(member.token)


class TestSessions:
    async def test_get_session_says_what_the_token_says(self, auth: AuthClient, owner: Person) -> None:
        made = await auth.call(auth.accounts.GetSession, accounts.GetSessionRequest(), owner.token)
        assert (made.authenticated, made.kind, made.tenant_id) == (True, "session", "acme")
        assert (made.project_id, made.user_id, list(made.scopes)) == (owner.project, owner.user, ["*"])
        assert made.HasField("expires_at")

    async def test_logout_ends_this_session_alone(self, auth: AuthClient, owner: Person) -> None:
        other = await auth.login(owner.email)
        await auth.call(auth.accounts.Logout, accounts.LogoutRequest(), owner.token)
        assert not await auth.works(owner.token)
        assert await auth.works(other)

    async def test_an_api_token_cannot_log_out_switch_or_change_a_password(
        self, auth: AuthClient, owner: Person
    ) -> None:
        token = (await auth.api_token(owner.token)).token
        calls = [
            auth.call(auth.accounts.Logout, accounts.LogoutRequest(), token),
            auth.call(auth.accounts.SwitchProject, accounts.SwitchProjectRequest(project_id=owner.project), token),
            auth.call(
                auth.accounts.ChangePassword,
                accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD),
                token,
            ),
        ]
        assert [(await refusal(each)).code for each in calls] == [C.FAILED_PRECONDITION] * 3

    async def test_switching_gives_a_session_there_and_ends_the_old_one(self, auth: AuthClient, owner: Person) -> None:
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        request = accounts.SwitchProjectRequest(project_id="lab")
        switched = await auth.call(auth.accounts.SwitchProject, request, owner.token)
        assert switched.session.project_id == identity_of(auth, switched.session.token).project.id == made.project.id
        assert not await auth.works(owner.token)

    @pytest.mark.parametrize("reference", ["nope", "../default", "x" * 3000])
    async def test_switching_to_no_project_of_ones_own_changes_nothing(
        self, auth: AuthClient, owner: Person, reference: str
    ) -> None:
        request = accounts.SwitchProjectRequest(project_id=reference)
        assert (await refusal(auth.call(auth.accounts.SwitchProject, request, owner.token))).code is C.NOT_FOUND
        assert await auth.works(owner.token)

    async def test_a_password_change_ends_the_other_sessions_and_gives_a_fresh_one(
        self, auth: AuthClient, owner: Person
    ) -> None:
        """The fresh session is issued right after the revocation, well within the same second."""
        other, api = await auth.login(owner.email), (await auth.api_token(owner.token)).token
        request = accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD)
        changed = await auth.call(auth.accounts.ChangePassword, request, owner.token)
        assert await auth.works(changed.session.token)
        assert not await auth.works(owner.token)
        assert not await auth.works(other)
        assert await auth.works(api)
        assert (await refusal(auth.login(owner.email))).code is C.UNAUTHENTICATED
        assert await auth.works(await auth.login(owner.email, NEW_PASSWORD))

    @pytest.mark.parametrize(
        ("current", "new", "code", "field"),
        [
            ("Wrong-Horse-1", NEW_PASSWORD, C.UNAUTHENTICATED, ""),
            (PASSWORD, "weak", C.INVALID_ARGUMENT, "newPassword"),
            (PASSWORD, PASSWORD, C.INVALID_ARGUMENT, "newPassword"),
        ],
    )
    async def test_a_refused_password_change_changes_nothing(
        self, auth: AuthClient, owner: Person, current: str, new: str, code: grpc.StatusCode, field: str
    ) -> None:
        request = accounts.ChangePasswordRequest(current_password=current, new_password=new)
        refused = await refusal(auth.call(auth.accounts.ChangePassword, request, owner.token))
        assert (refused.code, refused.field) == (code, field)
        assert await auth.works(owner.token)

    async def test_over_rest_a_session_comes_as_a_cookie_too(self, auth: AuthClient, owner: Person) -> None:
        request = accounts.LoginRequest(email=owner.email, password=PASSWORD)
        call = auth.start(auth.accounts.Login, request, x_portico_rest="1")
        token = (await call).token
        cookie = dict(await call.initial_metadata())["set-cookie"]
        assert cookie.startswith(f"portico_session={token}; ")
        assert set(cookie.split("; ")[1:]) == {"Max-Age=43200", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"}
        logout = auth.start(auth.accounts.Logout, accounts.LogoutRequest(), token, x_portico_rest="1")
        await logout
        assert dict(await logout.initial_metadata())["set-cookie"].startswith("portico_session=; Max-Age=0; ")
        native = auth.start(auth.accounts.Login, request)
        await native
        assert "set-cookie" not in dict(await native.initial_metadata())

    async def test_a_created_answer_has_both_its_status_and_its_cookie(self, auth: AuthClient) -> None:
        request = accounts.RegisterRequest(email="a@example.com", password=PASSWORD, name="A", company_name="Acme")
        call = auth.start(auth.accounts.Register, request, x_portico_rest="1")
        await call
        initial = dict(await call.initial_metadata())
        assert initial["x-http-status"] == "201"
        assert initial["set-cookie"].startswith("portico_session=ptc_")

    async def test_insecure_cookies_are_for_laptops(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_INSECURE_COOKIES="true") as client:
            request = accounts.RegisterRequest(email="a@example.com", password=PASSWORD, name="A", company_name="Acme")
            call = client.start(client.accounts.Register, request, x_portico_rest="1")
            await call
            assert "Secure" not in dict(await call.initial_metadata())["set-cookie"]


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

    @pytest.mark.parametrize("secret", ["", "acme", "acme.", "acme.x", ".x", "nowhere.x", "../main.x", "a" * 100_000])
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
            assert (await refusal(auth.call(rpc, request, member.token))).code is C.PERMISSION_DENIED, request
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


class TestProjects:
    async def test_life_of_a_project(self, auth: AuthClient, owner: Person) -> None:
        create = projects.CreateProjectRequest(name="The Lab", description="line\nline")
        made = (await auth.call(auth.projects.CreateProject, create, owner.token)).project
        assert (made.key, made.name, made.description, made.record_id) == ("the-lab", "The Lab", "line\nline", made.id)
        again = (await auth.call(auth.projects.CreateProject, create, owner.token)).project
        assert again.key == "the-lab-2"
        for reference in (made.id, "the-lab"):
            got = await auth.call(auth.projects.GetProject, projects.GetProjectRequest(id=reference), owner.token)
            assert got.project.id == made.id
        change = projects.UpdateProjectRequest(id="the-lab", name="Lab", description="")
        changed = (await auth.call(auth.projects.UpdateProject, change, owner.token)).project
        assert (changed.name, changed.description, changed.key) == ("Lab", "", "the-lab")
        await auth.call(auth.projects.DeleteProject, projects.DeleteProjectRequest(id=made.id), owner.token)
        gone = projects.GetProjectRequest(id=made.id)
        assert (await refusal(auth.call(auth.projects.GetProject, gone, owner.token))).code is C.NOT_FOUND

    async def test_a_key_is_taken_once(self, auth: AuthClient, owner: Person) -> None:
        request = projects.CreateProjectRequest(name="X", key="lab")
        outcomes = await asyncio.gather(
            *(auth.call(auth.projects.CreateProject, request, owner.token) for _ in range(5)), return_exceptions=True
        )
        assert [each.code for each in outcomes if isinstance(each, Refused)] == [C.ALREADY_EXISTS] * 4

    async def test_deleting_ends_the_tokens_and_sessions_in_it(self, auth: AuthClient, owner: Person) -> None:
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        inside = await auth.api_token(owner.token, project_id="lab")
        session = await auth.login(owner.email, project_id="lab")
        await auth.call(auth.projects.DeleteProject, projects.DeleteProjectRequest(id=lab.project.id), owner.token)
        assert not await auth.works(inside.token)
        assert not await auth.works(session)
        assert await auth.works(owner.token)

    async def test_neither_the_last_nor_ones_own_is_deleted(self, auth: AuthClient, owner: Person) -> None:
        delete = projects.DeleteProjectRequest(id=owner.project)
        assert (
            await refusal(auth.call(auth.projects.DeleteProject, delete, owner.token))
        ).code is C.FAILED_PRECONDITION
        await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        assert (
            await refusal(auth.call(auth.projects.DeleteProject, delete, owner.token))
        ).code is C.FAILED_PRECONDITION

    async def test_users_see_their_own_projects_alone(self, auth: AuthClient, owner: Person) -> None:
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        for role in ("user", "project_admin"):
            member = await auth.join(owner, f"{role.replace('_', '')}@example.com", role)
            listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), member.token)
            assert [each.id for each in listed.projects] == [owner.project]
            for reference in (lab.project.id, "lab", "nowhere"):
                got = auth.call(auth.projects.GetProject, projects.GetProjectRequest(id=reference), member.token)
                assert (await refusal(got)).code is C.NOT_FOUND
                assert (await refusal(auth.api_token(member.token, project_id=reference))).code is C.NOT_FOUND
        change = projects.UpdateProjectRequest(id="lab", name="Mine")
        assert (await refusal(auth.call(auth.projects.UpdateProject, change, member.token))).code is C.NOT_FOUND

    async def test_whoever_makes_a_project_is_in_it(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com", "project_admin", service_permissions={"projects": "admin"})
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), member.token)
        listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), member.token)
        assert made.project.id in [each.id for each in listed.projects]

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "X", "key": "Not A Key"}, "key"),
            ({"name": "X", "key": "-x"}, "key"),
            ({"name": "X", "key": "x" * 49}, "key"),
            ({"name": "X", "description": "x" * 2001}, "description"),
            ({"name": "X", "description": "bell\x07"}, "description"),
        ],
    )
    async def test_refuses_what_cannot_be(
        self, auth: AuthClient, owner: Person, fields: dict[str, str], field: str
    ) -> None:
        request = projects.CreateProjectRequest(**fields)
        refused = await refusal(auth.call(auth.projects.CreateProject, request, owner.token))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)


class TestTokens:
    async def test_life_of_a_token(self, auth: AuthClient, owner: Person) -> None:
        made = await auth.api_token(
            owner.token, label="ci job", scopes=["inference:write", "models:read", "models:read"]
        )
        assert (made.label, sorted(made.scopes)) == ("ci job", ["inference:write", "models:read"])
        assert made.service_permissions["inference"] == "write"
        assert made.service_permissions["audit"] == "none"
        assert not made.HasField("expires_at")
        identity = identity_of(auth, made.token)
        assert (identity.kind, identity.token_id, identity.subject) == (Kind.API, made.id, owner.user)
        assert identity.expires_at is None
        listed = await auth.call(auth.tokens.ListTokens, tokens.ListTokensRequest(), owner.token)
        (shown,) = listed.tokens
        assert (shown.id, shown.record_id, shown.can_delete) == (made.id, made.id, True)
        assert made.token.endswith(shown.token_prefix.removeprefix("ptc_..."))
        assert made.token not in str(listed)
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=made.id), owner.token)
        assert not await auth.works(made.token)
        again = tokens.DeleteTokenRequest(id=made.id)
        assert (await refusal(auth.call(auth.tokens.DeleteToken, again, owner.token))).code is C.NOT_FOUND

    async def test_the_store_never_holds_the_token(self, auth: AuthClient, owner: Person, tmp_path: Path) -> None:
        token = (await auth.api_token(owner.token)).token
        secrets = [token, token.split(".")[2], PASSWORD]
        for path in (tmp_path / "data").glob("*.sqlite*"):
            content = path.read_bytes()
            assert not [each for each in secrets if each.encode() in content]

    async def test_everything_means_all_that_the_caller_may(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        for fields in ({}, {"scopes": ["*"]}):
            made = await auth.api_token(member.token, **fields)
            assert set(made.scopes) == identity_of(auth, member.token).scopes
        assert list((await auth.api_token(owner.token)).scopes) == ["*"]

    async def test_a_token_holds_no_more_than_its_maker(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        for fields in ({"scopes": ["audit:read"]}, {"service_permissions": {"models": "write"}}):
            assert (await refusal(auth.api_token(member.token, **fields))).code is C.PERMISSION_DENIED
        small = await auth.api_token(owner.token, scopes=["tokens:write"])
        assert (await refusal(auth.api_token(small.token, scopes=["tokens:admin"]))).code is C.PERMISSION_DENIED
        child = await auth.api_token(small.token, scopes=["*"])
        assert list(child.scopes) == ["tokens:write"]

    async def test_an_api_token_makes_tokens_for_its_own_project_alone(self, auth: AuthClient, owner: Person) -> None:
        """A token that leaked must not open the other projects of its owner."""
        await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        bound = (await auth.api_token(owner.token, scopes=["tokens:admin", "projects:read"])).token
        assert (await refusal(auth.api_token(bound, project_id="lab"))).code is C.NOT_FOUND
        listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), bound)
        assert [each.key for each in listed.projects] == ["default"]
        whole = (await auth.api_token(owner.token)).token
        assert (await auth.api_token(whole, project_id="lab")).project_id != owner.project

    async def test_others_tokens_are_not_there(self, auth: AuthClient, owner: Person) -> None:
        one = await auth.join(owner, "one@example.com")
        two = await auth.join(owner, "two@example.com")
        made = await auth.api_token(one.token)
        listed = await auth.call(auth.tokens.ListTokens, tokens.ListTokensRequest(), two.token)
        assert not listed.tokens
        delete = tokens.DeleteTokenRequest(id=made.id)
        assert (await refusal(auth.call(auth.tokens.DeleteToken, delete, two.token))).code is C.NOT_FOUND
        assert [
            each.id
            for each in (await auth.call(auth.tokens.ListTokens, tokens.ListTokensRequest(), owner.token)).tokens
        ] == [made.id]
        await auth.call(auth.tokens.DeleteToken, delete, owner.token)

    async def test_an_expiry_is_kept(self, auth: AuthClient, owner: Person) -> None:
        end = Timestamp()
        end.GetCurrentTime()
        end.seconds += 3600
        made = await auth.api_token(owner.token, expires_at=end)
        assert identity_of(auth, made.token).expires_at == made.expires_at.ToSeconds() == end.seconds

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"label": "ab"}, "label"),
            ({"label": "x" * 101}, "label"),
            ({"scopes": ["inference"]}, "scopes"),
            ({"scopes": ["inference:none"]}, "scopes"),
            ({"scopes": ["everything:read"]}, "scopes"),
            ({"scopes": ["account:limited"]}, "scopes"),
            ({"service_permissions": {"agents": "read"}}, "servicePermissions"),
            ({"service_permissions": {"models": "none"}}, "servicePermissions"),
            ({"expires_at": Timestamp(seconds=1)}, "expiresAt"),
            ({"expires_at": Timestamp(seconds=10**18)}, "expiresAt"),
            ({"expires_at": Timestamp(seconds=-(10**18), nanos=-1)}, "expiresAt"),
        ],
    )
    async def test_refuses_what_cannot_be(
        self, auth: AuthClient, owner: Person, fields: dict[str, Any], field: str
    ) -> None:
        refused = await refusal(auth.api_token(owner.token, **fields))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)

    async def test_a_user_deleted_at_the_same_time_keeps_no_token(self, auth: AuthClient, owner: Person) -> None:
        """Whichever comes first, the removal sees the token or the making sees the removal."""
        for number in range(5):
            member = await auth.join(owner, f"m{number}@example.com")
            outcomes: Any = await asyncio.gather(
                auth.api_token(member.token),
                auth.call(auth.users.DeleteUser, users.DeleteUserRequest(id=member.user), owner.token),
                return_exceptions=True,
            )
            assert isinstance(outcomes[0], Refused) or not await auth.works(outcomes[0].token)


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


class TestAudit:
    async def test_changes_and_refused_sign_ins_are_recorded(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        await refusal(auth.login(member.email, "Wrong-Horse-1"))
        made = await auth.api_token(member.token, label="ci job")
        await refusal(auth.api_token(member.token, scopes=["audit:read"]))
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=made.id), member.token)
        await auth.call(auth.users.DeleteUser, users.DeleteUserRequest(id=member.user), owner.token)
        entries = (await auth.call(auth.audit.ListAuditEntries, audit.ListAuditEntriesRequest(), owner.token)).entries
        assert [(each.action, each.outcome) for each in reversed(entries)] == [
            ("tenant.create", "success"),
            ("invitation.create", "success"),
            ("invitation.accept", "success"),
            ("account.login", "failure"),
            ("token.create", "success"),
            ("token.create", "denied"),
            ("token.delete", "success"),
            ("user.delete", "success"),
        ]
        created = entries[3]
        assert (created.actor_kind, created.actor_id, created.resource_id) == ("session", member.user, made.id)
        assert (created.project_id, created.metadata["label"]) == (owner.project, "ci job")
        assert PASSWORD not in str(entries)
        assert "Wrong-Horse-1" not in str(entries)
        assert made.token not in str(entries)

    async def test_it_names_request_and_address_and_filters(self, auth: AuthClient, owner: Person) -> None:
        request = tokens.CreateTokenRequest(label="one")
        sent = {"x_request_id": "req-1", "x_client_address": "192.0.2.7"}
        await auth.call(auth.tokens.CreateToken, request, owner.token, **sent)
        await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        wanted = audit.ListAuditEntriesRequest(action="token.create", actor_id=owner.user)
        (entry,) = (await auth.call(auth.audit.ListAuditEntries, wanted, owner.token)).entries
        assert (entry.request_id, entry.ip_address) == ("req-1", "192.0.2.7")
        nobody = audit.ListAuditEntriesRequest(actor_id="nobody")
        assert not (await auth.call(auth.audit.ListAuditEntries, nobody, owner.token)).entries


async def read(stream: Any) -> Any:
    async with asyncio.timeout(5):
        return await stream.read()


class TestTrust:
    async def test_a_watcher_learns_all_and_then_each_new_revocation(self, auth: AuthClient, owner: Person) -> None:
        early, late = await auth.api_token(owner.token), await auth.api_token(owner.token)
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=early.id), owner.token)
        stream = auth.watch(trust.WatchRevocationsRequest(service="test"))
        first = await read(stream)
        assert first.snapshot
        assert [(each.tenant, each.token_id) for each in first.revocations] == [("acme", early.id)]
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=late.id), owner.token)
        async with asyncio.timeout(1):
            second = await stream.read()
        assert not second.snapshot
        assert [each.token_id for each in second.revocations] == [late.id]
        stream.cancel()

    async def test_a_subject_revocation_carries_its_time(self, auth: AuthClient, owner: Person) -> None:
        stream = auth.watch(trust.WatchRevocationsRequest(service="test"))
        await read(stream)
        request = accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD)
        changed = await auth.call(auth.accounts.ChangePassword, request, owner.token)
        (revocation,) = (await read(stream)).revocations
        assert (revocation.tenant, revocation.subject) == ("acme", owner.user)
        assert identity_of(auth, changed.session.token).issued_at >= revocation.issued_before
        assert revocation.expires_at > revocation.issued_before
        stream.cancel()

    async def test_a_quiet_stream_shows_that_it_is_alive(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_AUTH_HEARTBEAT_SECONDS="0.05") as client:
            stream = client.watch(trust.WatchRevocationsRequest(service="test"))
            assert (await read(stream)).snapshot
            sign = await read(stream)
            assert not sign.snapshot
            assert not sign.revocations
            stream.cancel()

    async def test_watchers_do_not_hold_up_the_stop(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_GRACE_SECONDS="60") as client:
            stream = client.watch(trust.WatchRevocationsRequest(service="test"))
            await read(stream)
            async with asyncio.timeout(10):
                await client.running.platform.lifecycle.stop()

    async def test_replicas_share_revocations_and_keys(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        quick = {"PORTICO_AUTH_REVOCATION_POLL_SECONDS": "0.05", "PORTICO_AUTH_KEY_POLL_SECONDS": "0.05"}
        async with auth_service(folder, **quick) as one, auth_service(folder, **quick) as two:
            owner = await one.register("acme")
            assert await two.works(owner.token)
            stream = two.watch(trust.WatchRevocationsRequest(service="test"))
            await read(stream)
            await one.call(one.accounts.Logout, accounts.LogoutRequest(), owner.token)
            assert len((await read(stream)).revocations) == 1
            assert not await two.works(owner.token)
            stream.cancel()

    async def test_revocations_outlive_a_restart(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data") as client:
            owner = await client.register("acme")
            other = await client.login(owner.email)
            await client.call(client.accounts.Logout, accounts.LogoutRequest(), owner.token)
        async with auth_service(tmp_path / "data") as client:
            assert not await client.works(owner.token)
            assert await client.works(other)

    async def test_a_service_token_is_short_and_bound(self, auth: AuthClient, owner: Person) -> None:
        request = trust.MintServiceTokenRequest(
            service="rag", tenant="acme", project=owner.project, scopes=["inference:write"]
        )
        made = await auth.call(auth.trust.MintServiceToken, request, **{SERVICE_SECRET: SECRET})
        identity = identity_of(auth, made.token)
        assert (identity.kind, identity.subject, identity.scopes) == (
            Kind.SERVICE,
            "rag",
            frozenset({"inference:write"}),
        )
        assert identity.project.id == owner.project
        assert identity.expires_at == made.expires_at
        assert made.expires_at - identity.issued_at <= 300

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"tenant": "nowhere"}, C.NOT_FOUND),
            ({"project": "nope"}, C.NOT_FOUND),
            ({"scopes": []}, C.INVALID_ARGUMENT),
            ({"scopes": ["x:y"]}, C.INVALID_ARGUMENT),
            ({"service": ""}, C.INVALID_ARGUMENT),
        ],
    )
    async def test_a_service_token_for_nothing_is_refused(
        self, auth: AuthClient, owner: Person, fields: dict[str, Any], code: grpc.StatusCode
    ) -> None:
        good = {"service": "rag", "tenant": "acme", "project": owner.project, "scopes": ["inference:write"]}
        request = trust.MintServiceTokenRequest(**{**good, **fields})
        refused = await refusal(auth.call(auth.trust.MintServiceToken, request, **{SERVICE_SECRET: SECRET}))
        assert refused.code is code

    async def test_services_make_no_tokens_and_change_no_people(self, auth: AuthClient, owner: Person) -> None:
        request = trust.MintServiceTokenRequest(service="rag", tenant="acme", project=owner.project, scopes=["*"])
        token = (await auth.call(auth.trust.MintServiceToken, request, **{SERVICE_SECRET: SECRET})).token
        assert (await refusal(auth.api_token(token))).code is C.PERMISSION_DENIED
        change = users.UpdateUserRequest(id=owner.user, name="x")
        assert (await refusal(auth.call(auth.users.UpdateUser, change, token))).code is C.PERMISSION_DENIED
        listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), token)
        assert [each.id for each in listed.projects] == [owner.project]


class TestKeys:
    async def test_the_key_set_verifies_tokens_elsewhere(self, auth: AuthClient, owner: Person) -> None:
        answer = await auth.call(auth.keys.GetJwks, keys.GetJwksRequest())
        assert len(answer.keys) == 2
        fields = ("kty", "crv", "x", "y", "kid", "alg", "use")
        document = {"keys": [{name: getattr(key, name) for name in fields} for key in answer.keys]}
        ring, revocations = KeyRing(), Revocations()
        ring.replace({key.key_id: key.key for key in PyJWKSet.from_json(json.dumps(document)).keys if key.key_id})
        revocations.replace([])
        assert TokenVerifier(ring, revocations).verify(owner.token).subject == owner.user

    async def test_rotation_logs_nobody_out_and_running_services_notice(self, tmp_path: Path) -> None:
        quick = {"PORTICO_AUTH_KEY_POLL_SECONDS": "0.05", "PORTICO_AUTH_KEY_PUBLISH_SECONDS": "0"}
        async with auth_service(tmp_path / "data", **quick) as one, auth_service(tmp_path / "data", **quick) as two:
            owner = await one.register("acme")
            before = [key.kid for key in (await two.call(two.keys.GetJwks, keys.GetJwksRequest())).keys]
            env = {**environment(tmp_path / "data"), **quick}
            async with open_domain(config.load(CommandSettings, env)) as domain:
                current = await domain.keys.rotate()
            assert current == before[1]
            async with asyncio.timeout(5):
                while (await two.call(two.keys.GetJwks, keys.GetJwksRequest())).keys[0].kid != current:
                    await asyncio.sleep(0.02)
            after = [key.kid for key in (await two.call(two.keys.GetJwks, keys.GetJwksRequest())).keys]
            assert set(before) < set(after)
            fresh = await two.login(owner.email)
            for client in (one, two):
                assert await client.works(owner.token)
                assert await client.works(fresh)
