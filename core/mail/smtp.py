"""Delivery by SMTP: one connection for each mail."""

import ssl
from email.message import EmailMessage

import aiosmtplib

from core.errors import FailedPrecondition, Unavailable
from core.mail.settings import MailSettings

_PERMANENT = range(500, 600)


class SmtpClient:
    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def deliver(self, message: EmailMessage) -> None:
        """Deliver to the one recipient in `To`; returns once the server has accepted the mail.

        Raises FailedPrecondition where the server refuses this mail for good, Unavailable where another attempt may
        succeed. Neither names the server or the address.
        """
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=settings.seconds,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=None if settings.tls == "none" else ssl.create_default_context(cafile=settings.ca_file),
        )
        try:
            async with client:
                if settings.password is not None:
                    await client.login(settings.user, settings.password.reveal())
                await client.send_message(message)
        except aiosmtplib.SMTPException as error:
            if _is_final(error):
                raise FailedPrecondition("The mail server refuses this mail.", reason="MAIL_REFUSED") from error
            raise Unavailable("The mail server cannot be reached or does not take mail now.") from error
        except OSError as error:
            raise Unavailable("The mail server cannot be reached or does not take mail now.") from error


def _is_final(error: aiosmtplib.SMTPException) -> bool:
    """Return whether the server refuses the recipient or the mail itself. That it refuses our sign-in or our sender is
    the operator's to repair, and the mail can wait for it."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refusals):
            return all(each.code in _PERMANENT for each in refusals)
        case aiosmtplib.SMTPRecipientRefused(code=code) | aiosmtplib.SMTPDataError(code=code):
            return code in _PERMANENT
    return isinstance(error, aiosmtplib.SMTPNotSupported)
