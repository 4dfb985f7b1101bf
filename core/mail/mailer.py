"""Outgoing mail as durable jobs: one for each recipient.

    mails = make_mails("auth", jobs, sealer, settings.mail)
    await jobs.start()
    await mails.send(project, "ann@example.com", Welcome(...))

A mail is tried again for some hours and is delivered at least once: if the process is killed between the server's
answer and the end of the job, it is sent again, with the same Message-ID. The content may hold a secret, such as the
token that sets a new password, so it lies sealed in the job.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from email.message import EmailMessage
from hashlib import sha256
from typing import Any, Protocol
from uuid import uuid4

import orjson

from core import logs
from core.errors import Conflict, FailedPrecondition
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun
from core.mail.mails import MailContent
from core.mail.rendering import address, compose, render
from core.mail.settings import MailSettings
from core.mail.smtp import SmtpClient
from core.sealing import Sealer
from core.tenancy import Project

log = logs.get(__name__)

_MAX_ATTEMPTS = 40
"""About three hours, with the pauses of `core.jobs.limits`."""


class Delivery(Protocol):
    async def deliver(self, message: EmailMessage) -> None: ...


class Mails(Protocol):
    """The outgoing mail of one service."""

    @property
    def enabled(self) -> bool:
        """False: no SMTP server is set, and nothing is sent."""

    async def send(
        self, project: Project, to: str, content: MailContent, *, key: str = "", until: float | None = None
    ) -> bool:
        """Queue a mail, durable on return. False: no SMTP server is set.

        `key` names the mail for good: sent twice, with the same key to the same address, it is one mail to its reader.
        `until` is the time in Unix seconds from which on it is of no use and is dropped. Raises InvalidInput for what
        is no address.
        """

    async def deliver(self, to: str, content: MailContent, *, key: str) -> None:
        """Deliver a mail at once: for jobs, which try again by themselves. `key` as of `send`. Raises InvalidInput,
        FailedPrecondition (no SMTP server is set, or it refuses the mail for good), Unavailable."""

    async def forget(self, project: Project) -> None:
        """Remove the mails of a deleted project, sent or not."""


class NoMail:
    """The Mails of a service without an SMTP server."""

    enabled = False

    async def send(
        self, project: Project, to: str, content: MailContent, *, key: str = "", until: float | None = None
    ) -> bool:
        return False

    async def deliver(self, to: str, content: MailContent, *, key: str) -> None:
        raise FailedPrecondition("This installation sends no mail.", reason="MAIL_OFF")

    async def forget(self, project: Project) -> None:
        pass


def make_mails(service: str, jobs: Jobs, sealer: Sealer, settings: MailSettings) -> Mails:
    """The service's mail. Before `jobs.start()`, as it registers the kind of its jobs."""
    if settings.enabled:
        return Mailer(service, jobs, sealer, settings)
    log.info("no mail is sent: PORTICO_SMTP_HOST is not set")
    return NoMail()


class Mailer:
    """The Mails of a service with an SMTP server."""

    enabled = True

    def __init__(
        self,
        service: str,
        jobs: Jobs,
        sealer: Sealer,
        settings: MailSettings,
        *,
        delivery: Delivery | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kind = f"{service}.mail"
        self._jobs = jobs
        self._sealer = sealer
        self._settings = settings
        self._delivery = delivery or SmtpClient(settings)
        self._clock = clock
        jobs.handle(self._kind, self._run, None)

    async def send(
        self, project: Project, to: str, content: MailContent, *, key: str = "", until: float | None = None
    ) -> bool:
        address(to)
        id = sha256(f"{project.tenant.slug}/{project.id}/{key}/{to}".encode()).hexdigest()[:32] if key else uuid4().hex
        mail = {"to": to, "template": content.template, "values": asdict(content), "until": until}
        sealed = self._sealer.seal(project, f"mail {id}", orjson.dumps(mail))
        with suppress(Conflict):  # it is queued already
            await self._jobs.submit(
                project,
                self._kind,
                {"id": id, "sealed": sealed},
                unique_key=f"mail {id}",
                max_attempts=_MAX_ATTEMPTS,
            )
        return True

    async def forget(self, project: Project) -> None:
        await self._jobs.forget(project, but="")

    async def _run(self, run: JobRun) -> None:
        id = str(run.payload["id"])
        mail: dict[str, Any] = orjson.loads(self._sealer.open(run.scope, f"mail {id}", run.payload["sealed"]))
        if mail["until"] is not None and mail["until"] <= self._clock():
            log.warning("a mail was not sent in time", template=mail["template"])
            return
        await self._deliver(mail["to"], mail["template"], mail["values"], id)

    async def deliver(self, to: str, content: MailContent, *, key: str) -> None:
        id = sha256(f"{key}/{to}".encode()).hexdigest()[:32]
        await self._deliver(to, content.template, asdict(content), id)

    async def _deliver(self, to: str, template: str, values: Mapping[str, Any], id: str) -> None:
        rendered = render(template, values, self._settings.app_url)
        await self._delivery.deliver(compose(self._settings.from_address(), to, rendered, id))
