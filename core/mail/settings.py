"""Settings of outgoing mail."""

from dataclasses import dataclass
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Literal

from core.config import Secret, setting

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class MailSettings:
    """Outgoing mail; without a host none is sent"""

    host: str = setting("PORTICO_SMTP_HOST", default="", help="SMTP server; empty: no mail is sent.")
    port: int = setting("PORTICO_SMTP_PORT", default=587, min=1, max=65535, help="Port of the SMTP server.")
    tls: Literal["starttls", "tls", "none"] = setting(
        "PORTICO_SMTP_TLS",
        default="starttls",
        help="starttls: encrypted after the greeting (port 587); tls: from the start (465); none: not at all.",
    )
    user: str = setting("PORTICO_SMTP_USER", default="", help="User to sign in with; empty: no sign-in.")
    password: Secret | None = setting("PORTICO_SMTP_PASSWORD", default=None, help="Password of that user.")
    ca_file: Path | None = setting(
        "PORTICO_SMTP_CA_FILE",
        default=None,
        help="Authorities that may sign the server's certificate; empty: the system's.",
    )
    sender: str = setting(
        "PORTICO_MAIL_FROM", default="Portico <portico@localhost>", help="Sender of all mails: Name <address>."
    )
    seconds: float = setting("PORTICO_SMTP_SECONDS", default=30.0, min=1, max=300, help="Time limit of one delivery.")
    app_url: str = setting(
        "PORTICO_APP_URL",
        default="",
        help="Base URL of your console, which the links in mails lead to; empty: mails name the API's routes instead.",
    )

    def __post_init__(self) -> None:
        self.from_address()
        if self.app_url and not self.app_url.startswith(("https://", "http://")):
            raise ValueError("PORTICO_APP_URL must begin with https:// or http://")
        if bool(self.user) != (self.password is not None):
            raise ValueError("PORTICO_SMTP_USER needs a password, and a password needs PORTICO_SMTP_USER")
        if self.user and self.tls == "none" and self.host not in _LOOPBACK:
            raise ValueError("PORTICO_SMTP_TLS=none would send the password in the clear; choose starttls or tls")

    @property
    def enabled(self) -> bool:
        return bool(self.host)

    def from_address(self) -> Address:
        """The sender. Raises ValueError for what is no address."""
        name, address = parseaddr(self.sender)
        try:
            return Address(name, addr_spec=address)
        except Exception:  # the parser raises errors of several kinds
            raise ValueError("PORTICO_MAIL_FROM must be an address, as in Portico <portico@example.com>") from None
