"""Sessions: their end, the change of project or password, and the cookie."""

from pathlib import Path

import grpc
import pytest

from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import project_service_pb2 as projects
from tests.support.auth_checks import NEW_PASSWORD, C, identity_of, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person, auth_service

pytestmark = pytest.mark.each_store


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
        assert cookie.startswith(f"__Host-portico_session={token}; ")
        assert set(cookie.split("; ")[1:]) == {"Max-Age=43200", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"}
        logout = auth.start(auth.accounts.Logout, accounts.LogoutRequest(), token, x_portico_rest="1")
        await logout
        dropped = [value for name, value in await logout.initial_metadata() if name == "set-cookie"]
        assert [cookie.split("; ")[:2] for cookie in dropped] == [
            ["__Host-portico_session=", "Max-Age=0"],
            ["portico_session=", "Max-Age=0"],
        ]
        native = auth.start(auth.accounts.Login, request)
        await native
        assert "set-cookie" not in dict(await native.initial_metadata())

    async def test_a_created_answer_has_both_its_status_and_its_cookie(self, auth: AuthClient) -> None:
        request = accounts.RegisterRequest(email="a@example.com", password=PASSWORD, name="A", company_name="Acme")
        call = auth.start(auth.accounts.Register, request, x_portico_rest="1")
        await call
        initial = dict(await call.initial_metadata())
        assert initial["x-http-status"] == "201"
        assert initial["set-cookie"].startswith("__Host-portico_session=ptc_")

    async def test_insecure_cookies_are_for_laptops(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_INSECURE_COOKIES="true") as client:
            request = accounts.RegisterRequest(email="a@example.com", password=PASSWORD, name="A", company_name="Acme")
            call = client.start(client.accounts.Register, request, x_portico_rest="1")
            await call
            cookie = dict(await call.initial_metadata())["set-cookie"]
            assert "Secure" not in cookie
            assert cookie.startswith("portico_session=ptc_")  # browsers take the other name over TLS alone
