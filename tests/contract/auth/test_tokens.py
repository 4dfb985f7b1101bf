"""API tokens: what they hold, who sees them, and when they end."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from core.context import Kind
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_checks import C, identity_of, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person, Refused

pytestmark = pytest.mark.each_store


class TestTokens:
    async def test_life_of_a_token(self, auth: AuthClient, owner: Person) -> None:
        made = await auth.api_token(
            owner.token, label="ci job", scopes=["inference:write", "models:read", "models:read"]
        )
        assert (made.label, sorted(made.scopes)) == ("ci job", ["inference:write", "models:read"])
        assert made.service_permissions["inference"] == "write"
        assert made.service_permissions["audit"] == "none"
        identity = identity_of(auth, made.token)
        assert (identity.kind, identity.token_id, identity.subject) == (Kind.API, made.id, owner.user)
        days = (made.expires_at.ToSeconds() - time.time()) / 86_400
        assert 364.9 < days <= 365
        assert identity.expires_at == made.expires_at.ToSeconds()
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
            ({"expires_at": Timestamp(seconds=2**31 + 10**8)}, "expiresAt"),
            ({"expires_at": Timestamp(seconds=10**18)}, "expiresAt"),
            ({"expires_at": Timestamp(seconds=2**63 - 1, nanos=2**31 - 1)}, "expiresAt"),
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
