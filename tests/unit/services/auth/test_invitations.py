"""Invitations: their list, and their end by time."""

import pytest

from core.errors import NotFound
from core.tenancy import Tenant
from services.auth.domain.invitations import NewInvitation
from tests.unit.services.auth.conftest import Harness, Process
from tests.unit.services.auth.test_accounts import PASSWORD, call_as, register

ACME = Tenant("acme")


@pytest.fixture
async def process(harness: Harness) -> Process:
    made = await harness.start()
    call_as(made, (await register(made)).session.token)
    return made


async def test_the_list_goes_on_behind_its_first_page(process: Process, harness: Harness) -> None:
    """The second page was refused: its token held the moment at which the first one was made."""
    invitations = process.domain.invitations
    for number in range(3):
        await invitations.invite(NewInvitation(f"n{number}@example.com"))
        harness.clock.now += 1
    emails, following = list[str](), ""
    while True:
        found, following = await invitations.page(1, following)
        emails += [each.email for each in found]
        harness.clock.now += 1
        if not following:
            break
    assert emails == ["n2@example.com", "n1@example.com", "n0@example.com"]


async def test_one_is_gone_for_all_purposes_after_seven_days(process: Process, harness: Harness) -> None:
    """It still counted among the users that a tenant may have."""
    invitations = process.domain.invitations
    invited = await invitations.invite(NewInvitation("n@example.com"))
    made, secret = invited.invitation, invited.secret
    assert made.expires_at == made.created_at + 7 * 86_400
    harness.clock.now = made.expires_at - 1
    assert [each.id for each in (await invitations.page(50, ""))[0]] == [made.id]
    harness.clock.now = made.expires_at
    assert await invitations.page(50, "") == ([], "")
    assert await process.domain.tables.invitations.count(ACME) == 0
    with pytest.raises(NotFound):
        await invitations.accept(secret, PASSWORD, "")
    with pytest.raises(NotFound):
        await invitations.revoke(made.id)
    again = (await invitations.invite(NewInvitation("n@example.com"))).invitation
    assert again.id != made.id
