"""Welcome mails, mailed invitations, and new passwords for those who have forgotten theirs."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.jobs.records import JOBS
from core.tenancy import Project, Tenant
from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_checks import NEW_PASSWORD, C, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person, auth_service
from tests.support.mail_server import Mailbox, mail_server, text_of

OWNER = "owner@acme.example.com"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


@pytest.fixture
async def auth(tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[AuthClient]:
    async with auth_service(tmp_path / "data", **mailbox.env) as client:
        yield client


async def forgot(auth: AuthClient, email: str, slug: str = "", **metadata: str) -> Any:
    request = accounts.ForgotPasswordRequest(email=email, slug=slug)
    return await auth.call(auth.accounts.ForgotPassword, request, **metadata)


async def reset(auth: AuthClient, token: str, password: str = NEW_PASSWORD, **metadata: str) -> Any:
    request = accounts.ResetPasswordRequest(token=token, new_password=password)
    return await auth.call(auth.accounts.ResetPassword, request, **metadata)


async def mailed_token(auth: AuthClient, mailbox: Mailbox, email: str = OWNER, slug: str = "") -> str:
    """Token of a mail for a new password."""
    known = len(mailbox.mails)
    await forgot(auth, email, slug)
    mails = await mailbox.wait(known + 1)
    return token_in(text_of(mails[-1]))


def token_in(text: str) -> str:
    found = re.search(r"^ {4}(\S+)$", text, re.MULTILINE)
    assert found, text
    return found[1]


async def test_the_owner_of_a_new_tenant_is_welcomed(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    (mail,) = await mailbox.wait(1)
    assert mail["To"] == OWNER
    assert mail["Subject"] == "Welcome to Portico, acme"


async def test_an_invitation_is_mailed(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    await mailbox.wait(1)
    request = users.InviteUserRequest(email="bo@example.com", name="Bo")
    invited = await auth.call(auth.users.InviteUser, request, owner.token)
    assert invited.mailed
    mail = (await mailbox.wait(2))[1]
    assert mail["To"] == "bo@example.com"
    assert token_in(text_of(mail)) == invited.token
    made = accounts.AcceptInvitationRequest(token=invited.token, password=PASSWORD)
    assert (await auth.call(auth.accounts.AcceptInvitation, made)).user.email == "bo@example.com"


async def test_a_new_password_ends_every_session_and_works_once(
    auth: AuthClient, owner: Person, mailbox: Mailbox
) -> None:
    await mailbox.wait(1)
    token = await mailed_token(auth, mailbox)
    assert (await reset(auth, token)).success
    assert not await auth.works(owner.token)
    assert (await refusal(auth.login(OWNER, PASSWORD))).code is C.UNAUTHENTICATED
    assert await auth.works(await auth.login(OWNER, NEW_PASSWORD))
    refused = await refusal(reset(auth, token, "Another-Horse-1"))
    assert (refused.code, refused.field) == (C.NOT_FOUND, "token")


async def test_a_weak_password_does_not_use_the_token_up(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    await mailbox.wait(1)
    token = await mailed_token(auth, mailbox)
    refused = await refusal(reset(auth, token, "weak"))
    assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, "newPassword")
    await reset(auth, token)


async def test_a_changed_password_ends_the_token(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    await mailbox.wait(1)
    token = await mailed_token(auth, mailbox)
    change = accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD)
    await auth.call(auth.accounts.ChangePassword, change, owner.token)
    assert (await refusal(reset(auth, token, "Another-Horse-1"))).code is C.NOT_FOUND


async def test_one_used_token_ends_the_others(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    await mailbox.wait(1)
    first = await mailed_token(auth, mailbox)
    second = await mailed_token(auth, mailbox)
    await reset(auth, second)
    assert (await refusal(reset(auth, first, "Another-Horse-1"))).code is C.NOT_FOUND


async def test_the_answer_is_the_same_for_an_unknown_address(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    await mailbox.wait(1)
    known, unknown = await forgot(auth, OWNER), await forgot(auth, "nobody@example.com")
    assert known == unknown
    assert known.mail_enabled
    await mailbox.wait(2)
    assert [mail["To"] for mail in mailbox.mails] == [OWNER, OWNER]


@pytest.mark.parametrize("token", ["", "acme", "acme.", "nobody.secret", "acme.secret", "acme." + "x" * 5000])
async def test_an_unknown_token_is_one_answer(auth: AuthClient, owner: Person, token: str) -> None:
    refused = await refusal(reset(auth, token))
    assert (refused.code, refused.field) == (C.NOT_FOUND, "token")


async def test_a_disabled_account_gets_no_mail(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    member = await auth.join(owner, "bo@example.com")
    await mailbox.wait(2)
    change = users.UpdateUserRequest(id=member.user, status="disabled")
    await auth.call(auth.users.UpdateUser, change, owner.token)
    await forgot(auth, "bo@example.com")
    await mailed_token(auth, mailbox)
    assert len(mailbox.to("bo@example.com")) == 1


async def test_an_email_of_two_tenants_gets_a_mail_for_each(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    await auth.register("globex", OWNER)
    await mailbox.wait(2)
    await forgot(auth, OWNER)
    mails = (await mailbox.wait(4))[2:]
    assert {token_in(text_of(mail)).partition(".")[0] for mail in mails} == {"acme", "globex"}
    await forgot(auth, OWNER, "globex")
    assert token_in(text_of((await mailbox.wait(5))[4])).startswith("globex.")


async def test_a_deleted_project_takes_its_mails_with_it(auth: AuthClient, owner: Person, mailbox: Mailbox) -> None:
    await mailbox.wait(1)
    made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Other"), owner.token)
    other = await auth.login(OWNER, project_id=made.project.id)
    await auth.call(auth.users.InviteUser, users.InviteUserRequest(email="bo@example.com"), other)
    await mailbox.wait(2)
    await auth.call(auth.projects.DeleteProject, projects.DeleteProjectRequest(id=made.project.id), owner.token)
    store = auth.running.platform.store
    assert await store.count(Project(Tenant("acme"), made.project.id), JOBS) == 0


async def test_without_a_server_the_answer_says_that_no_mail_is_sent(tmp_path: Path) -> None:
    async with auth_service(tmp_path / "data") as client:
        owner = await client.register("acme")
        answer = await forgot(client, OWNER)
        assert not answer.mail_enabled
        assert "no mail" in answer.message
        assert answer == await forgot(client, "nobody@example.com")
        request = users.InviteUserRequest(email="bo@example.com")
        assert not (await client.call(client.users.InviteUser, request, owner.token)).mailed


async def test_limits_are_those_of_the_email_and_of_the_address(tmp_path: Path, mailbox: Mailbox) -> None:
    limits = {"PORTICO_AUTH_FORGOT_LIMIT": "3/day", "PORTICO_AUTH_FORGOT_ADDRESS_LIMIT": "8/day"}
    async with auth_service(tmp_path / "data", **mailbox.env, **limits) as client:
        await client.register("acme")
        for email in (OWNER, "nobody@example.com"):
            for number in range(3):
                await forgot(client, email, x_client_address=f"192.0.2.{number}")
            refused = await refusal(forgot(client, email, x_client_address="192.0.2.99"))
            assert refused.code is C.RESOURCE_EXHAUSTED
        for number in range(8):
            await forgot(client, f"n{number}@example.com", x_client_address="198.51.100.1")
        refused = await refusal(forgot(client, "n9@example.com", x_client_address="198.51.100.1"))
        assert refused.code is C.RESOURCE_EXHAUSTED
        for number in range(8):
            await refusal(reset(client, f"acme.{number}", x_client_address="198.51.100.2"))
        refused = await refusal(reset(client, "acme.x", x_client_address="198.51.100.2"))
        assert refused.code is C.RESOURCE_EXHAUSTED


async def test_who_forgot_and_reset_a_password_is_in_the_audit_log(
    auth: AuthClient, owner: Person, mailbox: Mailbox
) -> None:
    await mailbox.wait(1)
    await reset(auth, await mailed_token(auth, mailbox))
    token = await auth.login(OWNER, NEW_PASSWORD)
    entries = await auth.call(auth.audit.ListAuditEntries, audit.ListAuditEntriesRequest(), token)
    actions = {entry.action: entry.resource_id for entry in entries.entries}
    assert actions["account.forgot_password"] == actions["account.reset_password"] == owner.user
