"""Two things at the same time: one happens in the very moment before the other writes.

Rights are taken back by first changing the account or project, then looking for what was handed out. So whoever hands
something out writes first and looks again afterwards: one of the two always sees the other.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from core import context
from core.context import RequestContext
from core.errors import FailedPrecondition, NotFound, PermissionDenied, Unauthenticated
from core.storage.ports import Collection, Document
from core.tenancy import MAIN, Scope, Tenant
from services.auth.domain.accounts import SignedIn
from services.auth.domain.invitations import NewInvitation
from services.auth.domain.registration import NewTenant
from services.auth.domain.tokens import NewToken
from services.auth.domain.users import UserChange
from tests.support.stores import MemoryStore
from tests.unit.services.auth.conftest import Harness, Process

PASSWORD = "Correct-Horse-1"
ACME = Tenant("acme")
Meanwhile = Callable[[], Awaitable[Any]]


class Interrupted(MemoryStore):
    """Before the next write to a collection, something else happens to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: dict[str, Meanwhile] = {}

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        await self._let_happen(collection)
        await super().insert(scope, collection, document)

    async def update(self, scope: Scope, collection: Collection, *arguments: Any, **named: Any) -> Document | None:
        await self._let_happen(collection)
        return await super().update(scope, collection, *arguments, **named)

    async def _let_happen(self, collection: Collection) -> None:
        if something := self.meanwhile.pop(collection.name, None):
            await something()


def as_(process: Process, made: SignedIn, something: Meanwhile) -> Meanwhile:
    """Done in the name of somebody, as a call of its own."""

    async def call() -> Any:
        token = made.session.token
        context.bind(RequestContext("r1", process.verifier.verify(token), token))
        return await something()

    return lambda: asyncio.create_task(call())


@pytest.fixture
def store() -> Interrupted:
    return Interrupted()


@pytest.fixture
async def process(harness: Harness, store: Interrupted) -> Process:
    return await harness.start(store)


@pytest.fixture
async def owner(process: Process) -> SignedIn:
    return await process.domain.accounts.register(NewTenant("ann@example.com", PASSWORD, "Ann", "Acme"))


async def join(process: Process, owner: SignedIn, asked: NewInvitation) -> SignedIn:
    secret = (await as_(process, owner, lambda: process.domain.invitations.invite(asked))()).secret
    return await process.domain.invitations.accept(secret, PASSWORD, "")


async def test_a_token_made_while_its_maker_loses_rights(process: Process, owner: SignedIn, store: Interrupted) -> None:
    member = await join(process, owner, NewInvitation("m@example.com", role="project_admin"))
    demote = UserChange(role="user")
    store.meanwhile["api_tokens"] = as_(process, owner, lambda: process.domain.users.update(member.user.id, demote))
    with pytest.raises(PermissionDenied):
        await as_(process, member, lambda: process.domain.tokens.create(NewToken("late")))()
    assert await process.domain.tables.tokens.count(ACME, {}) == 0
    revoked = [each async for each in process.domain.tables.revocations.scan(MAIN, {"tenant": "acme"})]
    assert [each for each in revoked if each.token_id]


@pytest.mark.parametrize("made", ["api_tokens", "invitations"])
async def test_what_a_token_makes_while_it_is_deleted(
    process: Process, owner: SignedIn, store: Interrupted, made: str
) -> None:
    """Its children are looked for after it is revoked, and whoever makes one looks for that afterwards."""
    tokens, invitations = process.domain.tokens, process.domain.invitations
    record, text = await as_(process, owner, lambda: tokens.create(NewToken("parent")))()
    parent = replace(owner, session=replace(owner.session, token=text))
    store.meanwhile[made] = as_(process, owner, lambda: tokens.delete(record.id))
    make: dict[str, Meanwhile] = {
        "api_tokens": lambda: tokens.create(NewToken("child")),
        "invitations": lambda: invitations.invite(NewInvitation("x@example.com")),
    }
    with pytest.raises(PermissionDenied):
        await as_(process, parent, make[made])()
    assert await process.domain.tables.tokens.count(ACME, {}) == 0
    assert await process.domain.tables.invitations.count(ACME, {}) == 0


async def test_an_invitation_made_while_its_maker_loses_rights(
    process: Process, owner: SignedIn, store: Interrupted
) -> None:
    member = await join(process, owner, NewInvitation("m@example.com", overrides={"users": "admin"}))
    demote = UserChange(overrides={})
    store.meanwhile["invitations"] = as_(process, owner, lambda: process.domain.users.update(member.user.id, demote))
    with pytest.raises(PermissionDenied):
        await as_(process, member, lambda: process.domain.invitations.invite(NewInvitation("x@example.com")))()
    assert await process.domain.tables.invitations.count(ACME, {}) == 0


async def test_an_invitation_beyond_the_inviters_new_rights_is_taken_back(process: Process, owner: SignedIn) -> None:
    member = await join(process, owner, NewInvitation("m@example.com", role="admin"))
    invite = NewInvitation("x@example.com", role="admin")
    secret = (await as_(process, member, lambda: process.domain.invitations.invite(invite))()).secret
    demote = UserChange(role="user")
    await as_(process, owner, lambda: process.domain.users.update(member.user.id, demote))()
    with pytest.raises(NotFound):
        await process.domain.invitations.accept(secret, PASSWORD, "")


async def test_a_token_and_a_session_made_while_their_project_is_removed(
    process: Process, owner: SignedIn, store: Interrupted
) -> None:
    projects, tokens = process.domain.projects, process.domain.tokens
    for collection in ("api_tokens", "sessions"):
        await as_(process, owner, lambda: projects.create("Lab", "lab", ""))()
        store.meanwhile[collection] = as_(process, owner, lambda: projects.delete("lab"))
        if collection == "api_tokens":
            with pytest.raises(PermissionDenied):
                await as_(process, owner, lambda: tokens.create(NewToken("late", project="lab")))()
        else:
            with pytest.raises(NotFound):
                await process.domain.accounts.login("ann@example.com", PASSWORD, project="lab")
    assert await process.domain.tables.tokens.count(ACME, {}) == 0


async def test_an_invitation_accepted_while_it_is_taken_back(
    process: Process, owner: SignedIn, store: Interrupted
) -> None:
    asked = NewInvitation("m@example.com")
    invited = await as_(process, owner, lambda: process.domain.invitations.invite(asked))()
    made, secret = invited.invitation, invited.secret
    store.meanwhile["users"] = as_(process, owner, lambda: process.domain.invitations.revoke(made.id))
    with pytest.raises(NotFound):
        await process.domain.invitations.accept(secret, PASSWORD, "")
    assert [user.id async for user in process.domain.tables.users.scan(ACME, {})] == [owner.user.id]
    assert await process.domain.tenants.of_email("m@example.com") == []


async def test_of_two_removals_at_once_none_takes_the_last_project(
    process: Process, owner: SignedIn, store: Interrupted
) -> None:
    projects = process.domain.projects
    for key in ("one", "two"):
        await as_(process, owner, partial(projects.create, key, key, ""))()
    in_one, in_two = [
        await process.domain.accounts.login("ann@example.com", PASSWORD, project=key) for key in ("one", "two")
    ]
    await as_(process, in_one, lambda: projects.delete("default"))()
    store.meanwhile["projects"] = as_(process, in_two, lambda: projects.delete("one"))
    with pytest.raises(FailedPrecondition):
        await as_(process, in_one, lambda: projects.delete("two"))()
    left = [each.key async for each in process.domain.tables.projects.scan(ACME, {"status": "active"})]
    assert left == ["two"]


async def test_no_service_token_for_a_project_that_is_being_removed(process: Process, owner: SignedIn) -> None:
    project_id = owner.session.project_id
    mint = process.domain.service_tokens.mint
    await mint("rag", "acme", project_id, ["rag:read"])
    await process.domain.tables.projects.update(ACME, project_id, status="closing")
    with pytest.raises(NotFound):
        await mint("rag", "acme", project_id, ["rag:read"])


@pytest.mark.parametrize("removed", ["before", "after"])
async def test_a_service_token_that_is_minted_while_its_project_is_removed_is_refused(
    process: Process,
    owner: SignedIn,
    store: Interrupted,
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    removed: str,
) -> None:
    """It was issued after all others had been revoked."""
    harness.clock.now = time.time()
    made = await as_(process, owner, partial(process.domain.projects.create, "gone", "gone", ""))()
    remove = as_(process, owner, lambda: process.domain.projects.delete("gone"))
    update = store.update

    async def removed_meanwhile(scope: Scope, collection: Collection, id: str, *args: Any, **more: Any) -> Any:
        if collection.name != "projects":
            return await update(scope, collection, id, *args, **more)
        monkeypatch.setattr(store, "update", update)
        if removed == "before":
            await remove()
        found = await update(scope, collection, id, *args, **more)
        if removed == "after":
            await remove()
        return found

    monkeypatch.setattr(store, "update", removed_meanwhile)
    mint = process.domain.service_tokens.mint
    if removed == "before":
        with pytest.raises(NotFound):
            await mint("rag", "acme", made.id, ["rag:read"])
        return
    token, _ = await mint("rag", "acme", made.id, ["rag:read"])
    with pytest.raises(Unauthenticated) as refused:
        process.verifier.verify(token)
    assert refused.value.reason == "TOKEN_REVOKED"


async def test_a_token_that_holds_more_than_its_user_gives_no_more_than_the_user_has(
    process: Process, owner: SignedIn
) -> None:
    """As after an upgrade that lowers what a role gives."""
    member = await join(process, owner, NewInvitation("m@example.com"))
    tokens = process.domain.tokens
    _, text = await tokens.issue(ACME, member.user, member.session.project_id, "old", {"audit:read", "tokens:write"})
    old = replace(member, session=replace(member.session, token=text))
    with pytest.raises(PermissionDenied):
        await as_(process, old, lambda: tokens.create(NewToken("child", scopes=("audit:read",))))()
