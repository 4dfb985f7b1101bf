"""Sign-ins and sessions, where the order of things matters."""

import asyncio
from contextlib import suppress

import pytest

from core import context
from core.context import RequestContext
from core.errors import InvalidInput, PermissionDenied, Unauthenticated
from core.tenancy import Tenant
from services.auth.adapters.argon2 import Argon2Hasher
from services.auth.domain.accounts import SignedIn
from services.auth.domain.registration import NewTenant
from services.auth.domain.users import UserChange
from tests.unit.services.auth.conftest import Harness, Process

PASSWORD = "Correct-Horse-1"
NEW_PASSWORD = "Another-Horse-2"
ACME = Tenant("acme")


async def register(process: Process) -> SignedIn:
    return await process.domain.accounts.register(NewTenant("ann@example.com", PASSWORD, "Ann", "Acme"))


def call_as(process: Process, token: str) -> None:
    context.bind(RequestContext("r1", process.verifier.verify(token), token))


async def test_a_session_of_the_very_same_instant_survives_the_revocation_before_it(harness: Harness) -> None:
    """The clock stands still: the new session is told from the old ones by the order of things alone."""
    process = await harness.start()
    first = await register(process)
    second = await process.domain.accounts.login("ann@example.com", PASSWORD)
    call_as(process, first.session.token)
    changed = await process.domain.accounts.change_password(PASSWORD, NEW_PASSWORD)
    assert process.verifier.verify(changed.token).subject == first.user.id
    third = await process.domain.accounts.login("ann@example.com", NEW_PASSWORD)
    assert process.verifier.verify(third.session.token)
    for old in (first, second):
        with pytest.raises(Unauthenticated):
            process.verifier.verify(old.session.token)


async def test_a_session_survives_on_a_replica_whose_clock_is_behind(harness: Harness) -> None:
    process = await harness.start()
    made = await register(process)
    call_as(process, made.session.token)
    await process.domain.accounts.change_password(PASSWORD, NEW_PASSWORD)
    harness.clock.now -= 5
    behind = await harness.start()
    again = await behind.domain.accounts.login("ann@example.com", NEW_PASSWORD)
    assert process.verifier.verify(again.session.token)


async def test_a_sign_in_that_read_the_old_rights_gives_no_session_with_them(harness: Harness) -> None:
    """The account is changed between a sign-in's reading of it and its session."""
    process = await harness.start()
    made = await register(process)
    domain = process.domain
    sessions = domain.sessions
    stale = made.user
    read_at = harness.clock.now
    harness.clock.now += 0.001
    members = domain.members
    changed = await domain.tables.users.update(ACME, stale.id, sessions_from=members.cutoff(stale))
    assert changed is not None
    await members.end_sessions(ACME, changed)
    harness.clock.now += 0.001
    session = await sessions.issue(ACME, stale, made.session.project_id, read_at)
    with pytest.raises(Unauthenticated):
        process.verifier.verify(session.token)


async def test_who_has_yet_to_choose_a_password_can_do_nothing_else(harness: Harness) -> None:
    process = await harness.start()
    asked = NewTenant("ann@example.com", PASSWORD, "Ann", "Acme", must_change_password=True)
    await process.domain.registration.register(asked)
    made = await process.domain.accounts.login("ann@example.com", PASSWORD)
    assert made.user.must_change_password
    assert process.verifier.verify(made.session.token).scopes == {"account:limited"}
    call_as(process, made.session.token)
    with pytest.raises(PermissionDenied):
        await process.domain.callers.current()
    with pytest.raises(PermissionDenied):
        await process.domain.accounts.switch_project("default")
    with pytest.raises(InvalidInput):
        await process.domain.accounts.change_password(PASSWORD, PASSWORD)
    session = await process.domain.accounts.change_password(PASSWORD, NEW_PASSWORD)
    assert process.verifier.verify(session.token).scopes == {"*"}
    assert not (await process.domain.accounts.login("ann@example.com", NEW_PASSWORD)).user.must_change_password


async def test_a_sign_in_brings_the_hash_to_the_present_cost(harness: Harness) -> None:
    made = await register(await harness.start())
    process = await harness.start(PORTICO_AUTH_PASSWORD_PASSES="2")
    again = await process.domain.accounts.login("ann@example.com", PASSWORD)
    assert again.user.password_hash != made.user.password_hash
    assert ",t=2," in again.user.password_hash
    last = await process.domain.accounts.login("ann@example.com", PASSWORD)
    assert last.user.password_hash == again.user.password_hash


class CountingHasher:
    """Counts the slow calls."""

    def __init__(self) -> None:
        self.hasher = Argon2Hasher(1024, 1)
        self.count = 0

    def hash(self, password: str, salt: bytes) -> str:
        self.count += 1
        return self.hasher.hash(password, salt)

    def verify(self, hashed: str, password: str) -> bool:
        self.count += 1
        return self.hasher.verify(hashed, password)

    def is_current(self, hashed: str, salt: bytes) -> bool:
        return self.hasher.is_current(hashed, salt)


@pytest.mark.parametrize(
    ("email", "slug"), [("ann@example.com", ""), ("nobody@example.com", ""), ("ann@example.com", "nowhere"), ("", "")]
)
@pytest.mark.parametrize("tenants", [1, 8])
async def test_every_refused_sign_in_hashes_once(harness: Harness, email: str, slug: str, tenants: int) -> None:
    """Otherwise the time of the answer says whether there is such an account, and in how many tenants."""
    counting = CountingHasher()
    process = await harness.start(hasher=counting)
    for number in range(tenants):
        await process.domain.registration.register(NewTenant("ann@example.com", PASSWORD, "Ann", f"Acme {number}"))
    before = counting.count
    with pytest.raises(Unauthenticated):
        await process.domain.accounts.login(email, "Wrong-Horse-1", slug)
    assert counting.count - before == 1


@pytest.mark.parametrize("others", [0, 7])
async def test_a_sign_in_hashes_once_whatever_the_number_of_tenants_of_the_email(harness: Harness, others: int) -> None:
    """A person who registers a tenant with another's email could see by the time in how many others it is."""
    counting = CountingHasher()
    process = await harness.start(hasher=counting)
    for number in range(others):
        asked = NewTenant("ann@example.com", f"{PASSWORD}-{number}", "Ann", f"Acme {number}")
        await process.domain.registration.register(asked)
    await process.domain.registration.register(NewTenant("ann@example.com", PASSWORD, "Mallory", "Evil"))
    before = counting.count
    made = await process.domain.accounts.login("ann@example.com", PASSWORD)
    assert (made.tenant.slug, counting.count - before) == ("evil", 1)


@pytest.mark.parametrize("password", [PASSWORD, "Wrong-Horse-1"])
async def test_a_sign_in_is_answered_no_sooner_than_the_setting_says(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """Reads before a refusal differ: an account has a record and an audit log to write to."""
    process = await harness.start(PORTICO_AUTH_SIGN_IN_SECONDS="10")
    await register(process)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("services.auth.domain.timing.asyncio.sleep", sleep)
    with suppress(Unauthenticated):
        await process.domain.accounts.login("ann@example.com", password)
    (rest,) = slept
    assert 0 < rest < 10


async def test_a_disabled_owner_of_the_right_password_looks_like_nobody(harness: Harness) -> None:
    process = await harness.start()
    made = await register(process)
    await process.domain.tables.users.update(ACME, made.user.id, status="disabled")
    with pytest.raises(Unauthenticated, match="Wrong email or password"):
        await process.domain.accounts.login("ann@example.com", PASSWORD)


async def test_of_two_password_changes_at_once_one_holds(harness: Harness) -> None:
    process = await harness.start()
    made = await register(process)
    call_as(process, made.session.token)
    wanted = [f"{NEW_PASSWORD}-{number}" for number in range(3)]
    outcomes = await asyncio.gather(
        *(process.domain.accounts.change_password(PASSWORD, each) for each in wanted), return_exceptions=True
    )
    (winner,) = (each for each, outcome in zip(wanted, outcomes, strict=True) if not isinstance(outcome, Exception))
    await process.domain.accounts.login("ann@example.com", winner)


async def test_two_owners_who_step_down_at_once(harness: Harness) -> None:
    """Each sees the other still there, so both pass the first look: the second look lets neither leave none."""
    process = await harness.start()
    made = await register(process)
    users = process.domain.users
    other_id = "other"
    await process.domain.tables.users.insert(
        ACME,
        type(made.user)(
            id=other_id,
            email="o@example.com",
            email_lower="o@example.com",
            name="O",
            role="owner",
            created_at=harness.clock.now,
            password_hash=made.user.password_hash,
        ),
    )
    call_as(process, made.session.token)
    await asyncio.gather(
        users.update(made.user.id, UserChange(role="admin")),
        users.update(other_id, UserChange(role="admin")),
        return_exceptions=True,
    )
    assert await process.domain.tables.users.count(ACME, {"role": "owner", "status": "active"}) >= 1


async def test_expired_sessions_leave_no_records(harness: Harness) -> None:
    process = await harness.start()
    await register(process)
    harness.clock.now += 13 * 3600
    await process.domain.accounts.login("ann@example.com", PASSWORD)
    assert await process.domain.tables.sessions.count(ACME, {}) == 1


async def test_a_disabled_account_is_refused_even_before_its_sessions_are_revoked(harness: Harness) -> None:
    process = await harness.start()
    made = await register(process)
    await process.domain.tables.users.update(ACME, made.user.id, status="disabled")
    call_as(process, made.session.token)
    with pytest.raises(Unauthenticated):
        await process.domain.callers.current()
