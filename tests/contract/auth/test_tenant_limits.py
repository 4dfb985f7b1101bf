"""One tenant takes nothing from the others: what it has is bounded, and how fast it changes what all have to know."""

import time
from pathlib import Path

from core.app import load
from core.audit.log import AuditLog
from core.rate_limits.memory import MemoryRateLimits
from core.revocations import Revocations
from core.tasks import Tasks
from core.tenancy import MAIN, Tenant
from core.token_verifier import KeyRing
from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import trust_service_pb2 as trust
from portico.auth.v1 import user_service_pb2 as users
from services.auth.app import assemble
from services.auth.domain.tables import Tables
from services.auth.settings import Settings
from tests.support.auth_checks import C, identity_of, refusal
from tests.support.auth_service import AuthClient, Person, auth_service, environment
from tests.support.legacy import revocation, write_revocations
from tests.support.stores import sqlite_store
from tests.support.waiting import until


def tables(auth: AuthClient) -> Tables:
    return Tables.of(auth.running.platform.store)


async def delete(auth: AuthClient, id: str, token: str) -> None:
    await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=id), token)


class TestTokens:
    async def test_a_tenant_has_so_many_and_no_more(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_MAX_TOKENS_PER_TENANT="3") as auth:
            owner, other = await auth.register("acme"), await auth.register("globex")
            made = [await auth.api_token(owner.token) for _ in range(3)]
            refused = await refusal(auth.api_token(owner.token))
            assert (refused.code, refused.reason) == (C.FAILED_PRECONDITION, "TOO_MANY_TOKENS")
            await auth.api_token(other.token)
            await delete(auth, made[0].id, owner.token)
            await auth.api_token(owner.token)

    async def test_expired_ones_do_not_count_and_are_forgotten(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_MAX_TOKENS_PER_TENANT="1") as auth:
            owner = await auth.register("acme")
            made = await auth.api_token(owner.token)
            await tables(auth).tokens.update(Tenant("acme"), made.id, expires_at=time.time() - 1)
            await auth.api_token(owner.token)
            assert await tables(auth).tokens.get(Tenant("acme"), made.id) is None

    async def test_a_tenant_makes_them_no_faster_than_a_rate(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_AUTH_TOKEN_LIMIT="3/day") as auth:
            owner, other = await auth.register("acme"), await auth.register("globex")
            for _ in range(3):
                await delete(auth, (await auth.api_token(owner.token)).id, owner.token)
            refused = await refusal(auth.api_token(owner.token))
            assert refused.code is C.RESOURCE_EXHAUSTED
            assert refused.retry_after > 0
            await auth.api_token(other.token)

    async def test_a_stolen_token_does_not_keep_its_owner_from_deleting_it(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_AUTH_CHANGE_LIMIT="3/day") as auth:
            owner = await auth.register("acme")
            stolen = await auth.api_token(owner.token)
            for _ in range(3):
                await delete(auth, (await auth.api_token(stolen.token)).id, stolen.token)
            child = await auth.api_token(stolen.token)
            request = tokens.DeleteTokenRequest(id=child.id)
            refused = await refusal(auth.call(auth.tokens.DeleteToken, request, child.token))
            assert refused.code is C.RESOURCE_EXHAUSTED
            await delete(auth, stolen.id, owner.token)
            assert not await auth.works(child.token)


class TestUsers:
    async def test_a_tenant_has_so_many_and_no_more(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_MAX_USERS_PER_TENANT="3") as auth:
            owner = await auth.register("acme")
            await auth.join(owner, "a@example.com")
            invite = users.InviteUserRequest(email="b@example.com")
            await auth.call(auth.users.InviteUser, invite, owner.token)
            more = users.InviteUserRequest(email="c@example.com")
            refused = await refusal(auth.call(auth.users.InviteUser, more, owner.token))
            assert (refused.code, refused.reason) == (C.FAILED_PRECONDITION, "TOO_MANY_USERS")

    async def test_a_tenant_invites_no_faster_than_a_rate(self, tmp_path: Path) -> None:
        """Whoever is removed leaves a revocation, so inviting and removing again and again would fill the memory."""
        async with auth_service(tmp_path / "data", PORTICO_AUTH_INVITATION_LIMIT="2/day") as auth:
            owner, other = await auth.register("acme"), await auth.register("globex")
            for number in range(2):
                member = await auth.join(owner, f"m{number}@example.com")
                await auth.call(auth.users.DeleteUser, users.DeleteUserRequest(id=member.user), owner.token)
            invite = users.InviteUserRequest(email="m@example.com")
            assert (await refusal(auth.call(auth.users.InviteUser, invite, owner.token))).code is C.RESOURCE_EXHAUSTED
            await auth.join(other, "m@example.com")


class TestSessions:
    async def revocations(self, auth: AuthClient) -> int:
        """Records in the store that all tenants share, which every service also holds in memory."""
        count = await tables(auth).revocations.count(MAIN, {"tenant": "acme"})
        assert auth.running.platform.revocations.size <= count
        return count

    async def test_switching_projects_again_and_again_leaves_few_revocations(self, tmp_path: Path) -> None:
        """Each switch left a revocation for twelve hours, in the memory of every service."""
        async with auth_service(tmp_path / "data", PORTICO_MAX_SESSIONS_PER_USER="5") as auth:
            owner = await auth.register("acme")
            session, old = owner.token, []
            for _ in range(30):
                request = accounts.SwitchProjectRequest(project_id=owner.project)
                old.append(session)
                session = (await auth.call(auth.accounts.SwitchProject, request, session)).session.token
            assert await auth.works(session)
            assert not any([await auth.works(each) for each in old])
            assert await self.revocations(auth) <= 6
        async with auth_service(tmp_path / "data") as auth:
            assert await auth.works(session)
            assert not any([await auth.works(each) for each in old])

    async def test_neither_order_of_logging_out_leaves_more(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_MAX_SESSIONS_PER_USER="5") as auth:
            owner = await auth.register("acme")
            for _ in range(3):
                sessions = [await auth.login(owner.email) for _ in range(5)]
                for session in reversed(sessions):
                    await auth.call(auth.accounts.Logout, accounts.LogoutRequest(), session)
            assert await self.revocations(auth) <= 6

    async def test_projects_that_come_and_go_leave_no_more(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_MAX_SESSIONS_PER_USER="5") as auth:
            owner = await auth.register("acme")
            for number in range(12):
                session = await auth.login(owner.email, project_id="default")
                made = await auth.call(
                    auth.projects.CreateProject, projects.CreateProjectRequest(name=f"P{number}"), session
                )
                await auth.login(owner.email, project_id=made.project.id)
                remove = projects.DeleteProjectRequest(id=made.project.id)
                await auth.call(auth.projects.DeleteProject, remove, session)
            assert await self.revocations(auth) <= 6

    async def test_the_oldest_session_ends_when_there_is_one_too_many(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_MAX_SESSIONS_PER_USER="3") as auth:
            owner = await auth.register("acme")
            sessions = [owner.token] + [await auth.login(owner.email) for _ in range(3)]
            assert [await auth.works(each) for each in sessions] == [False, True, True, True]

    async def test_many_changes_of_one_users_rights_leave_one_revocation(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        for number in range(10):
            change = users.UpdateUserRequest(id=member.user, role=("project_admin", "user")[number % 2])
            await auth.call(auth.users.UpdateUser, change, owner.token)
        assert await self.revocations(auth) == 1
        assert not await auth.works(member.token)


class TestRevocations:
    async def test_creating_and_deleting_tokens_fills_nobodys_memory(self, tmp_path: Path) -> None:
        """And what one tenant fills concerns nobody else's revocations."""
        async with auth_service(tmp_path / "data") as auth:
            owner, other = await auth.register("acme"), await auth.register("globex")
            alive, theirs = await auth.api_token(owner.token), await auth.api_token(other.token)
            await delete(auth, theirs.id, other.token)
            gone = [await auth.api_token(owner.token) for _ in range(30)]
            for each in gone:
                await delete(auth, each.id, owner.token)
            await self.compact(tmp_path / "data", auth, 3)
            applied = auth.running.platform.revocations
            assert len(applied.of("acme")) == 1
            assert await tables(auth).revocations.count(MAIN, {}) == 2
            assert await auth.works(alive.token)
            assert not any([await auth.works(each.token) for each in [*gone, theirs]])
            stream = auth.watch(trust.WatchRevocationsRequest(service="test"))
            snapshot = await stream.read()
            stream.cancel()
            told = {each.tenant: each for each in snapshot.revocations}
            assert told["acme"].api_tokens
            assert list(told["acme"].kept_token_ids) == [alive.id]
            assert told["globex"].token_id == theirs.id

    async def test_revocations_of_an_earlier_version_are_compacted(self, tmp_path: Path) -> None:
        """They were for ever: a store that has more than one message could hold would never start again."""
        folder = tmp_path / "data"
        async with auth_service(folder) as auth:
            owner = await auth.register("acme")
            alive = await auth.api_token(owner.token)
        old = [revocation(number, "acme", time.time()) for number in range(3000)]
        await write_revocations(folder, old)
        async with auth_service(folder) as auth:
            assert auth.running.platform.revocations.size == 3000
            await self.compact(folder, auth, 2)
            assert await tables(auth).revocations.count(MAIN, {}) == 1
            assert identity_of(auth, alive.token).token_id == alive.id

    async def compact(self, folder: Path, auth: AuthClient, left: int) -> None:
        """As a replica does it whose clock says that two minutes have passed, until the service has heard of it."""
        _, settings = load(Settings, {**environment(folder), "PORTICO_MAX_REVOCATIONS_PER_TENANT": "10"})
        store, keys, applied = sqlite_store(folder), KeyRing(), Revocations()
        domain = await assemble(
            store,
            MemoryRateLimits(),
            settings,
            audit_log=AuditLog(store, Tasks()),
            keys=keys,
            revocations=applied,
            clock=lambda: time.time() + 120,
        )
        await domain.compaction.run(applied)
        await store.close()
        await until(lambda: auth.running.platform.revocations.size == left)
