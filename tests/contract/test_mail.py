"""Mail on a real SMTP server: queued as jobs, delivered once to each, tried again, or refused for good."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.config import Secret
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import JOBS
from core.lifecycle import Lifecycle
from core.mail.mailer import Mailer, NoMail, make_mails
from core.mail.mails import PasswordReset, Welcome
from core.mail.settings import MailSettings
from core.sealing import Sealer, generate_key
from core.storage.ports import Document
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from tests.support.mail_server import Mailbox, mail_server, text_of
from tests.support.stores import MemoryStore
from tests.support.tls import make_authority

ACME = Project(Tenant("acme"), "p1")
LIMITS = JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.01, longest_retry=0.05)
WELCOME = Welcome("Ann", "ann@example.com", "Acme", "acme")


class Process:
    """One process that sends mail, on a store that others may share."""

    def __init__(self, settings: MailSettings, store: MemoryStore | None = None, key: str = "") -> None:
        self.store = store or MemoryStore()
        self.tasks, self.lifecycle = Tasks(), Lifecycle()
        self.jobs = Jobs(self.store, self.tasks, self.lifecycle, limits=LIMITS)
        self.mails = make_mails("auth", self.jobs, Sealer.from_settings(key or generate_key()), settings)

    async def stored(self) -> list[Document]:
        return (await self.store.find(ACME, JOBS)).items

    async def ended(self) -> list[Document]:
        """All jobs, once none is left to run."""
        async with asyncio.timeout(20):
            while any("endedAt" not in job for job in await self.stored()):
                await asyncio.sleep(0.01)
        return await self.stored()

    async def stop(self) -> None:
        await self.lifecycle.stop()
        await self.tasks.drain(0.1)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


@pytest.fixture
async def process(mailbox: Mailbox) -> AsyncIterator[Process]:
    made = Process(_settings(mailbox))
    await made.jobs.start()
    yield made
    await made.stop()


def _settings(mailbox: Mailbox, **fields: Any) -> MailSettings:
    return MailSettings(**{"host": "127.0.0.1", "port": mailbox.port, "tls": "none", **fields})


async def test_each_recipient_gets_a_mail_of_their_own_in_text_and_html(process: Process, mailbox: Mailbox) -> None:
    for to in ("ann@example.com", "bo@example.com"):
        assert await process.mails.send(ACME, to, WELCOME)
    await mailbox.wait(2)
    assert sorted(mailbox.recipients) == ["ann@example.com", "bo@example.com"]
    mail = mailbox.to("ann@example.com")[0]
    assert mail["Subject"] == "Welcome to Portico, Acme"
    assert mail["From"] == "Portico <portico@localhost>"
    assert "Hello Ann" in text_of(mail)
    assert "<h1" in text_of(mail, "html")


async def test_a_mail_that_the_server_cannot_take_now_is_tried_again(process: Process, mailbox: Mailbox) -> None:
    mailbox.replies += ["451 later", "421 going down"]
    await process.mails.send(ACME, "ann@example.com", WELCOME)
    await mailbox.wait(1)
    assert mailbox.replies == []
    assert len(mailbox.mails) == 1


async def test_a_mail_that_the_server_refuses_for_good_is_not_tried_again(process: Process, mailbox: Mailbox) -> None:
    mailbox.replies += ["550 no such mailbox"]
    await process.mails.send(ACME, "ann@example.com", WELCOME)
    (job,) = await process.ended()
    assert (job["status"], job["reason"], job["attempts"]) == ("failed", "MAIL_REFUSED", 1)
    assert "example.com" not in job["error"]


async def test_attempts_at_one_mail_have_one_message_id(process: Process, mailbox: Mailbox) -> None:
    """A process that is killed after the server's answer sends the mail again."""
    for _ in range(2):
        await process.mails.send(ACME, "ann@example.com", WELCOME, key="incident-1")
        await process.ended()
    first, second = await mailbox.wait(2)
    assert first["Message-ID"] == second["Message-ID"]
    await process.mails.send(ACME, "bo@example.com", WELCOME, key="incident-1")
    assert (await mailbox.wait(3))[2]["Message-ID"] != first["Message-ID"]


async def test_a_mail_outlives_its_process(mailbox: Mailbox) -> None:
    key = generate_key()
    first = Process(_settings(mailbox), key=key)
    await first.mails.send(ACME, "ann@example.com", WELCOME)  # whose worker never starts
    second = Process(_settings(mailbox), first.store, key)
    await second.jobs.start()
    await mailbox.wait(1)
    await second.ended()
    await second.stop()
    assert len(mailbox.mails) == 1


async def test_the_secret_of_a_mail_is_not_readable_in_the_store(mailbox: Mailbox) -> None:
    process = Process(_settings(mailbox))
    await process.mails.send(ACME, "ann@example.com", PasswordReset("Ann", "Acme", "acme.secret-token", "then"))
    stored = repr(await process.stored())
    assert "secret-token" not in stored
    assert "ann@example.com" not in stored


async def test_a_mail_that_is_too_late_is_dropped(process: Process, mailbox: Mailbox) -> None:
    await process.mails.send(ACME, "ann@example.com", WELCOME, until=1.0)
    (job,) = await process.ended()
    assert job["status"] == "succeeded"
    assert mailbox.mails == []


async def test_nothing_is_queued_without_a_server() -> None:
    process = Process(MailSettings())
    assert isinstance(process.mails, NoMail)
    assert not await process.mails.send(ACME, "ann@example.com", WELCOME)
    assert await process.stored() == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_encrypted_server_with_sign_in(tmp_path: Path, tls: str) -> None:
    authority = make_authority(tmp_path)
    context = {tls: authority.server}
    async with mail_server(starttls=context.get("starttls"), tls=context.get("tls"), sign_in=True) as box:
        process = Process(_settings(box, tls=tls, user="portico", password=Secret("secret"), ca_file=authority.ca_file))
        await process.jobs.start()
        await process.mails.send(ACME, "ann@example.com", WELCOME)
        await box.wait(1)
        await process.stop()
        assert box.users == ["portico"]


async def test_a_server_whose_certificate_nobody_vouches_for_gets_no_mail(tmp_path: Path) -> None:
    async with mail_server(starttls=make_authority(tmp_path).server) as box:
        process = Process(_settings(box, tls="starttls"))
        await process.jobs.start()
        await process.mails.send(ACME, "ann@example.com", WELCOME)
        async with asyncio.timeout(20):
            while not any(job.get("failures") for job in await process.stored()):
                await asyncio.sleep(0.01)
        await process.stop()
        assert box.mails == []


async def test_mails_of_a_deleted_project_are_forgotten(mailbox: Mailbox) -> None:
    process = Process(_settings(mailbox))
    assert isinstance(process.mails, Mailer)
    await process.mails.send(ACME, "ann@example.com", WELCOME)
    await process.mails.forget(ACME)
    assert await process.stored() == []
