"""Limits on guessed passwords, which lock nobody out who signs in from where they usually do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_checks import NEW_PASSWORD, C, identity_of, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person, auth_service

WRONG = "Wrong-Horse-1"
HOME = "198.51.100.1"
LIMITS = {
    "PORTICO_AUTH_LOGIN_LIMIT": "10/day",
    "PORTICO_AUTH_LOGIN_ADDRESS_LIMIT": "100/day",
    "PORTICO_AUTH_LOGIN_ACCOUNT_LIMIT": "100/day",
    "PORTICO_AUTH_SIGN_IN_LIMIT": "100/day",
}
"""The numbers that are the default, in a time that does not end while a test runs."""


@pytest.fixture
async def auth(tmp_path: Path) -> AsyncIterator[AuthClient]:
    async with auth_service(tmp_path / "data", **LIMITS) as client:
        yield client


@pytest.fixture
async def owner(auth: AuthClient) -> Person:
    return await register(auth, "acme", HOME)


async def register(auth: AuthClient, name: str, address: str, **fields: str) -> Person:
    asked = {"email": f"owner@{name}.example.com", "password": PASSWORD, "name": "Owner", **fields}
    request = accounts.RegisterRequest(company_name=name, **asked)
    made = await auth.call(auth.accounts.Register, request, x_client_address=address)
    return Person(made.tenant.slug, made.user.id, made.project_id, asked["email"], made.token)


async def sign_in(auth: AuthClient, address: str, email: str, password: str = PASSWORD, slug: str = "") -> str:
    request = accounts.LoginRequest(email=email, password=password, slug=slug)
    return str((await auth.call(auth.accounts.Login, request, x_client_address=address)).token)


async def wrong(auth: AuthClient, address: str, email: str, slug: str = "") -> Any:
    """The code of a wrong guess's answer."""
    return (await refusal(sign_in(auth, address, email, WRONG, slug))).code


async def attack(auth: AuthClient, email: str) -> None:
    """Wrong tries from ten addresses, until the account takes no more from anywhere."""
    for number in range(10):
        for _ in range(10):
            await wrong(auth, f"192.0.2.{number}", email)
    assert await wrong(auth, "192.0.2.99", email) is C.RESOURCE_EXHAUSTED


class TestLockingOut:
    async def test_guesses_from_many_addresses_lock_nobody_out_at_home(self, auth: AuthClient, owner: Person) -> None:
        """Under a hundred wrong tries from ten addresses kept an owner from signing in for 15 minutes."""
        await attack(auth, owner.email)
        assert await auth.works(await sign_in(auth, HOME, owner.email))

    async def test_guesses_from_places_that_are_not_known_meet_a_limit(self, auth: AuthClient, owner: Person) -> None:
        await attack(auth, owner.email)
        refused = await refusal(sign_in(auth, "203.0.113.7", owner.email))
        assert refused.code is C.RESOURCE_EXHAUSTED
        assert refused.retry_after > 0

    async def test_a_network_becomes_known_by_signing_in_from_it(self, auth: AuthClient, owner: Person) -> None:
        await sign_in(auth, "203.0.113.7", owner.email)
        await attack(auth, owner.email)
        assert await auth.works(await sign_in(auth, "203.0.113.7", owner.email))

    async def test_a_known_network_has_a_limit_of_its_own(self, auth: AuthClient, owner: Person) -> None:
        for _ in range(10):
            assert await wrong(auth, HOME, owner.email) is C.UNAUTHENTICATED
        assert (await refusal(sign_in(auth, HOME, owner.email))).code is C.RESOURCE_EXHAUSTED

    async def test_somebody_in_the_same_office_locks_nobody_else_out(self, auth: AuthClient, owner: Person) -> None:
        for number in range(105):
            await wrong(auth, HOME, f"u{number}@example.com")
        assert await wrong(auth, HOME, "u999@example.com") is C.RESOURCE_EXHAUSTED
        assert await auth.works(await sign_in(auth, HOME, owner.email))

    async def test_right_passwords_use_nothing_up(self, auth: AuthClient, owner: Person) -> None:
        for _ in range(30):
            await sign_in(auth, HOME, owner.email)
            await sign_in(auth, "203.0.113.7", owner.email)

    async def test_an_invited_user_is_known_where_they_accepted(self, auth: AuthClient, owner: Person) -> None:
        request = users.InviteUserRequest(email="m@example.com")
        invited = await auth.call(auth.users.InviteUser, request, owner.token)
        accept = accounts.AcceptInvitationRequest(token=invited.token, password=PASSWORD)
        await auth.call(auth.accounts.AcceptInvitation, accept, x_client_address="203.0.113.8")
        await attack(auth, "m@example.com")
        assert await auth.works(await sign_in(auth, "203.0.113.8", "m@example.com"))

    async def test_a_stolen_session_does_not_keep_the_owner_from_changing_the_password(
        self, auth: AuthClient, owner: Person
    ) -> None:
        """Ten wrong tries with a stolen session kept its owner from the one thing that ends it."""
        stolen = await sign_in(auth, HOME, owner.email)
        change = auth.accounts.ChangePassword
        guess = accounts.ChangePasswordRequest(current_password=WRONG, new_password=NEW_PASSWORD)
        codes = [
            (await refusal(auth.call(change, guess, stolen, x_client_address="192.0.2.1"))).code for _ in range(11)
        ]
        assert codes == [C.UNAUTHENTICATED] * 10 + [C.RESOURCE_EXHAUSTED]
        right = accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD)
        await auth.call(change, right, owner.token, x_client_address=HOME)
        assert not await auth.works(stolen)

    async def test_wrong_passwords_count_the_same_at_sign_in_and_change(self, auth: AuthClient, owner: Person) -> None:
        guess = accounts.ChangePasswordRequest(current_password=WRONG, new_password=NEW_PASSWORD)
        for _ in range(5):
            await wrong(auth, "192.0.2.1", owner.email)
            await refusal(auth.call(auth.accounts.ChangePassword, guess, owner.token, x_client_address="192.0.2.1"))
        assert await wrong(auth, "192.0.2.1", owner.email) is C.RESOURCE_EXHAUSTED

    async def test_a_changed_password_forgets_the_networks_of_whoever_had_it(
        self, auth: AuthClient, owner: Person
    ) -> None:
        await sign_in(auth, "192.0.2.50", owner.email)
        right = accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD)
        await auth.call(auth.accounts.ChangePassword, right, owner.token, x_client_address=HOME)
        await attack(auth, owner.email)
        assert await wrong(auth, "192.0.2.50", owner.email) is C.RESOURCE_EXHAUSTED
        await sign_in(auth, HOME, owner.email, NEW_PASSWORD)


SPELLINGS = [
    "owner@acme.example.com",
    "OWNER@ACME.EXAMPLE.COM",
    " owner@acme.example.com\u3000",
    "\uff4f\uff57\uff4e\uff45\uff52@acme.example.com",
    "owner@\uff41\uff43\uff4d\uff45.example.com",
    "owner@acme\u3002example.com",
]


class TestSpellings:
    async def test_every_spelling_of_an_email_counts_for_one_account(self, auth: AuthClient, owner: Person) -> None:
        """A limit counted the letters as they were sent, and the look-up found one account by all of them."""
        codes = [await wrong(auth, "192.0.2.1", SPELLINGS[number % len(SPELLINGS)]) for number in range(12)]
        assert codes == [C.UNAUTHENTICATED] * 10 + [C.RESOURCE_EXHAUSTED] * 2

    @pytest.mark.parametrize("email", SPELLINGS)
    async def test_every_spelling_finds_the_account(self, auth: AuthClient, owner: Person, email: str) -> None:
        assert identity_of(auth, await sign_in(auth, HOME, email)).subject == owner.user

    @pytest.mark.parametrize("email", SPELLINGS)
    async def test_no_spelling_is_a_second_account(self, auth: AuthClient, owner: Person, email: str) -> None:
        request = users.InviteUserRequest(email=email)
        assert (await refusal(auth.call(auth.users.InviteUser, request, owner.token))).code is C.ALREADY_EXISTS

    async def test_a_domain_counts_once_in_both_of_its_spellings(self, auth: AuthClient) -> None:
        owner = await register(auth, "acme", HOME, email="ann@b\u00fccher.example")
        for number in range(10):
            email = ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example", "Ann@BU\u0308CHER.example")[number % 3]
            await wrong(auth, "192.0.2.1", email)
        assert await wrong(auth, "192.0.2.1", "ann@xn--bcher-kva.example") is C.RESOURCE_EXHAUSTED
        token = await sign_in(auth, HOME, "ann@xn--bcher-kva.example")
        assert identity_of(auth, token).subject == owner.user

    async def test_the_slug_makes_no_other_account_of_it(self, auth: AuthClient, owner: Person) -> None:
        for number in range(10):
            await wrong(auth, "192.0.2.1", owner.email, ("", "acme", "nowhere")[number % 3])
        for slug in ("", "acme", "nowhere"):
            assert await wrong(auth, "192.0.2.1", owner.email, slug) is C.RESOURCE_EXHAUSTED


class TestSeveralCompanies:
    async def test_whoever_registers_anothers_email_learns_nothing_by_signing_in(
        self, auth: AuthClient, owner: Person
    ) -> None:
        mine = await register(auth, "evil", "192.0.2.1", email=owner.email, password=NEW_PASSWORD)
        for address in ("192.0.2.1", "192.0.2.2"):
            token = await sign_in(auth, address, owner.email, NEW_PASSWORD)
            assert identity_of(auth, token).tenant.slug == mine.tenant

    async def test_ones_own_right_password_is_no_free_guess_at_the_others(
        self, auth: AuthClient, owner: Person
    ) -> None:
        """A password that fits one account of the email is a wrong one for the other."""
        await register(auth, "evil", "192.0.2.1", email=owner.email, password=NEW_PASSWORD)
        for number in range(2, 102):
            await sign_in(auth, f"192.0.2.{number}", owner.email, NEW_PASSWORD)
        assert await wrong(auth, "203.0.113.9", owner.email) is C.RESOURCE_EXHAUSTED

    async def test_a_network_that_ones_own_account_knows_is_not_known_to_the_other(
        self, auth: AuthClient, owner: Person
    ) -> None:
        """There, a sign-in without a slug tries one's own account alone."""
        evil = "203.0.113.66"
        await register(auth, "evil", evil, email=owner.email, password=NEW_PASSWORD)
        assert (await refusal(sign_in(auth, evil, owner.email))).code is C.UNAUTHENTICATED
        await attack(auth, owner.email)
        assert await wrong(auth, evil, owner.email, "acme") is C.RESOURCE_EXHAUSTED

    async def test_anothers_registration_of_ones_email_keeps_nobody_out(self, auth: AuthClient, owner: Person) -> None:
        for number in range(3):
            await register(auth, f"evil-{number}", f"192.0.2.{number}", email=owner.email, password=NEW_PASSWORD)
        assert identity_of(auth, await sign_in(auth, HOME, owner.email)).tenant.slug == "acme"


class TestInvitations:
    async def test_wrong_secrets_from_an_office_keep_nobody_there_from_accepting(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_AUTH_ACCEPT_LIMIT="3/day") as auth:
            owner = await auth.register("acme")
            invited = await auth.call(
                auth.users.InviteUser, users.InviteUserRequest(email="n@example.com"), owner.token
            )
            guess = accounts.AcceptInvitationRequest(token="acme.guess", password=PASSWORD)
            codes = [(await refusal(auth.call(auth.accounts.AcceptInvitation, guess))).code for _ in range(5)]
            assert codes == [C.NOT_FOUND] * 3 + [C.RESOURCE_EXHAUSTED] * 2
            accept = accounts.AcceptInvitationRequest(token=invited.token, password=PASSWORD)
            assert await auth.works((await auth.call(auth.accounts.AcceptInvitation, accept)).token)

    async def test_one_answer_for_no_such_tenant_and_a_wrong_secret(self, auth: AuthClient, owner: Person) -> None:
        answers = set()
        for secret in ("nowhere.secret", "acme.secret", "acme", "\uff41cme.secret"):
            request = accounts.AcceptInvitationRequest(token=secret, password=PASSWORD)
            refused = await refusal(auth.call(auth.accounts.AcceptInvitation, request))
            answers.add((refused.code, refused.message))
        assert len(answers) == 1
