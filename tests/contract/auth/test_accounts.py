"""Registration and sign-in, with their limits."""

import asyncio
from pathlib import Path

import pytest

from core.context import Kind
from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_checks import C, identity_of, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person, Refused, auth_service


class TestRegister:
    async def test_makes_a_tenant_its_owner_a_project_and_a_session(self, auth: AuthClient) -> None:
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

            async def attempt(address: str, name: str, password: str = PASSWORD) -> None:
                request = accounts.RegisterRequest(
                    email="a@example.com", password=password, name="A", company_name=name
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
        assert (refused.code, refused.reason) == (C.UNAUTHENTICATED, "WRONG_CREDENTIALS")
        elsewhere = accounts.LoginRequest(email="nobody@example.com", password=PASSWORD)
        assert (await refusal(auth.call(auth.accounts.Login, elsewhere))).message == refused.message

    async def test_an_email_of_two_tenants_needs_the_slug(self, auth: AuthClient) -> None:
        first = await auth.register("first", "both@example.com")
        second = await auth.register("second", "both@example.com")
        refused = await refusal(auth.login("both@example.com"))
        assert (refused.code, refused.field) == (C.FAILED_PRECONDITION, "slug")
        for person in (first, second):
            assert identity_of(auth, await auth.login("both@example.com", slug=person.tenant)).subject == person.user

    async def test_that_an_email_has_several_tenants_is_told_to_its_owner_alone(self, auth: AuthClient) -> None:
        await auth.register("first", "both@example.com")
        await auth.register("second", "both@example.com")
        assert (await refusal(auth.login("both@example.com", "Wrong-Horse-1"))).code is C.UNAUTHENTICATED

    async def test_goes_to_the_project_asked_for(self, auth: AuthClient, owner: Person) -> None:
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        for reference in (made.project.id, "lab"):
            token = await auth.login(owner.email, project_id=reference)
            assert identity_of(auth, token).project.id == made.project.id
        assert (await refusal(auth.login(owner.email, project_id="nope"))).code is C.NOT_FOUND

    async def test_a_disabled_user_cannot_sign_in(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        change = users.UpdateUserRequest(id=member.user, status="disabled")
        await auth.call(auth.users.UpdateUser, change, owner.token)
        assert (await refusal(auth.login(member.email))).code is C.UNAUTHENTICATED
        assert not await auth.works(member.token)
        await auth.call(auth.users.UpdateUser, users.UpdateUserRequest(id=member.user, status="active"), owner.token)
        assert await auth.works(await auth.login(member.email))
        assert not await auth.works(member.token)
