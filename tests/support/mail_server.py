"""A real SMTP server (aiosmtpd) on loopback that keeps the mails which it takes."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.connections import listening


@dataclass
class Mailbox:
    """Mails in the order of their arrival. `replies` are given to the next mails instead of taking them; once they are
    used up, mails are taken. `arrived` is set with every mail."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.arrived.set()
        if self.replies:
            return self.replies.pop(0)
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.recipients += envelope.rcpt_tos
        return "250 taken"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and data.password == b"secret"
        if right:
            self.users.append(data.login.decode())
        return AuthResult(success=right)

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == address]

    async def wait(self, count: int = 1, seconds: float = 20.0) -> list[EmailMessage]:
        """The mails once there are so many."""
        async with asyncio.timeout(seconds):
            while len(self.mails) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.mails

    @property
    def env(self) -> dict[str, str]:
        """The settings of a service that sends its mails here."""
        return {"PORTICO_SMTP_HOST": "127.0.0.1", "PORTICO_SMTP_PORT": str(self.port), "PORTICO_SMTP_TLS": "none"}


def text_of(mail: EmailMessage, subtype: str = "plain") -> str:
    body = mail.get_body((subtype,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


@asynccontextmanager
async def mail_server(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, sign_in: bool = False
) -> AsyncIterator[Mailbox]:
    """A server in this event loop. `sign_in`: it wants a user with the password "secret"."""
    mailbox = Mailbox()

    def session() -> SMTP:
        with warnings.catch_warnings(action="ignore"):  # it does not know that implicit TLS is TLS
            return SMTP(
                mailbox,
                hostname="mail.test",
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=mailbox.authenticate,
                auth_required=sign_in,
                auth_require_tls=starttls is not None,
                enable_SMTPUTF8=True,
            )

    loop = asyncio.get_running_loop()
    async with listening(lambda sock: loop.create_server(session, sock=sock, ssl=tls)) as mailbox.port:
        yield mailbox
