"""A token that was made with another one holds no more, ends no later, and is revoked with it."""

import asyncio
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from core import config
from core.token_verifier import PREFIX
from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import user_service_pb2 as users
from services.auth.commands import CommandSettings, open_domain
from tests.support.auth_checks import C, identity_of, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person, Refused, auth_service, environment
from tests.support.legacy import token_without_end


def after(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(time.time() + seconds))


class TestLifetimes:
    async def test_a_child_ends_no_later_than_its_parent(self, auth: AuthClient, owner: Person) -> None:
        """A token of an hour made itself one for ever."""
        parent = await auth.api_token(owner.token, expires_at=after(3600))
        child = await auth.api_token(parent.token)
        assert child.expires_at == parent.expires_at
        assert identity_of(auth, child.token).expires_at == parent.expires_at.ToSeconds()
        refused = await refusal(auth.api_token(parent.token, expires_at=after(7200)))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, "expiresAt")
        shorter = await auth.api_token(parent.token, expires_at=after(600))
        grandchild = await auth.api_token(shorter.token)
        assert grandchild.expires_at == shorter.expires_at

    async def test_a_token_of_somebody_who_has_signed_in_outlives_the_session(
        self, auth: AuthClient, owner: Person
    ) -> None:
        made = await auth.api_token(owner.token)
        assert made.expires_at.ToSeconds() > (identity_of(auth, owner.token).expires_at or 0)
        await auth.call(auth.accounts.Logout, accounts.LogoutRequest(), owner.token)
        assert await auth.works(made.token)

    async def test_the_longest_life_is_a_setting(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_MAX_TOKEN_DAYS="10") as client:
            owner = await client.register("acme")
            made = await client.api_token(owner.token)
            assert 9.9 < (made.expires_at.ToSeconds() - time.time()) / 86_400 <= 10
            refused = await refusal(client.api_token(owner.token, expires_at=after(11 * 86_400)))
            assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, "expiresAt")
            assert "10 days" in refused.message
            await client.api_token(owner.token, expires_at=after(10 * 86_400 + 5))  # of a clock that is ahead

    async def test_a_token_of_an_earlier_version_that_never_expires_is_good_and_its_children_expire(
        self, auth: AuthClient, owner: Person, tmp_path: Path
    ) -> None:
        made = await auth.api_token(owner.token)
        claims = jwt.decode(made.token.removeprefix(PREFIX), options={"verify_signature": False})
        async with open_domain(config.load(CommandSettings, environment(tmp_path / "data"))) as domain:
            eternal = await token_without_end(domain, "acme", made.id, claims)
        assert identity_of(auth, eternal).expires_at is None
        child = await auth.api_token(eternal)
        assert 364.9 < (child.expires_at.ToSeconds() - time.time()) / 86_400 <= 365
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=made.id), owner.token)
        assert not await auth.works(eternal)
        assert not await auth.works(child.token)


class TestRevocation:
    async def test_children_end_with_their_parent(self, auth: AuthClient, owner: Person) -> None:
        """Whoever had stolen a token kept what they had made with it when it was deleted."""
        parent = await auth.api_token(owner.token)
        child = await auth.api_token(parent.token)
        grandchild = await auth.api_token(child.token)
        other = await auth.api_token(owner.token)
        listed = await auth.call(auth.tokens.ListTokens, tokens.ListTokensRequest(), owner.token)
        parents = {each.id: each.parent_id for each in listed.tokens}
        assert parents == {parent.id: "", other.id: "", child.id: parent.id, grandchild.id: child.id}
        assert (child.parent_id, parent.parent_id) == (parent.id, "")
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=parent.id), owner.token)
        for each in (parent, child, grandchild):
            assert not await auth.works(each.token)
        assert await auth.works(other.token)
        listed = await auth.call(auth.tokens.ListTokens, tokens.ListTokensRequest(), owner.token)
        assert [each.id for each in listed.tokens] == [other.id]

    async def test_children_end_where_their_parent_exceeds_new_rights(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com", "project_admin")
        large = await auth.api_token(member.token, scopes=["models:admin", "tokens:write"])
        child = await auth.api_token(large.token, scopes=["tokens:write"])
        change = users.UpdateUserRequest(id=member.user, role="user")
        await auth.call(auth.users.UpdateUser, change, owner.token)
        assert not await auth.works(child.token)

    @pytest.mark.parametrize("end", ["disabled", "deleted"])
    async def test_nothing_of_a_user_who_is_gone_is_taken(self, auth: AuthClient, owner: Person, end: str) -> None:
        member = await auth.join(owner, "m@example.com")
        made = await auth.api_token(member.token)
        child = await auth.api_token(made.token)
        if end == "disabled":
            change = users.UpdateUserRequest(id=member.user, status="disabled")
            await auth.call(auth.users.UpdateUser, change, owner.token)
        else:
            await auth.call(auth.users.DeleteUser, users.DeleteUserRequest(id=member.user), owner.token)
        for token in (member.token, made.token, child.token):
            assert not await auth.works(token)
        listed = await auth.call(auth.tokens.ListTokens, tokens.ListTokensRequest(), owner.token)
        assert not listed.tokens

    async def test_an_open_invitation_ends_with_the_token_that_made_it(self, auth: AuthClient, owner: Person) -> None:
        parent = await auth.api_token(owner.token, expires_at=after(3600))
        child = await auth.api_token(parent.token)
        request = users.InviteUserRequest(email="n@example.com")
        invited = await auth.call(auth.users.InviteUser, request, child.token)
        assert invited.invitation.expires_at.ToSeconds() <= parent.expires_at.ToSeconds()
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=parent.id), owner.token)
        accept = accounts.AcceptInvitationRequest(token=invited.token, password=PASSWORD)
        assert (await refusal(auth.call(auth.accounts.AcceptInvitation, accept))).code is C.NOT_FOUND

    @pytest.mark.parametrize("round", range(5))
    async def test_nothing_that_is_made_at_the_same_time_survives(
        self, auth: AuthClient, owner: Person, round: int
    ) -> None:
        parent = await auth.api_token(owner.token)
        delete = tokens.DeleteTokenRequest(id=parent.id)
        invite = users.InviteUserRequest(email="n@example.com")
        outcomes: Any = await asyncio.gather(
            *(auth.api_token(parent.token) for _ in range(4)),
            auth.call(auth.users.InviteUser, invite, parent.token),
            auth.call(auth.tokens.DeleteToken, delete, owner.token),
            return_exceptions=True,
        )
        for made in outcomes[:4]:
            assert isinstance(made, Refused) or not await auth.works(made.token)
        listed = await auth.call(auth.users.ListInvitations, users.ListInvitationsRequest(), owner.token)
        assert not listed.invitations
