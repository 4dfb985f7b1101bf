"""Mails as messages: a subject, a text and an HTML part from the templates of a mail.

A template `name.txt` begins with the line `Subject: ...`; `name.html` extends `layout.html`. Values are escaped in
HTML. The subject is one line, whatever its values hold, and the address is parsed, so that nothing can add a header.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from core.errors import InvalidInput

_FOLDER = Path(__file__).parent / "templates"
_SUBJECT = "Subject:"
_MAX_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts of a mail. `subject` is one line."""

    subject: str
    text: str
    html: str


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        finalize=_in_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, values: Mapping[str, Any], app_url: str = "") -> Rendered:
    """Render a mail. Raises jinja2.TemplateError for a template or variable that does not exist."""
    variables = {**values, "app_url": app_url.rstrip("/")}
    head, _, text = _templates().get_template(f"{template}.txt").render(variables).partition("\n")
    html = _templates().get_template(f"{template}.html").render(variables)
    return Rendered(_line(head.removeprefix(_SUBJECT)), text.strip() + "\n", html)


def compose(sender: Address, to: str, rendered: Rendered, message_id: str) -> EmailMessage:
    """The message to one recipient. `message_id` is the same in every attempt to deliver it, so that a mail that comes
    twice is seen as one. Raises InvalidInput for what is no address."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = address(to)
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{message_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message


def address(text: str, field: str | None = None) -> Address:
    """An address without a display name. Raises InvalidInput naming `field`."""
    try:
        parsed = Address(addr_spec=text)
    except Exception:  # the standard library's parser raises errors of several kinds
        parsed = Address()
    if not parsed.username or not parsed.domain or len(text) > 254:
        raise InvalidInput("This is not an email address of at most 254 characters.", field=field)
    return parsed


def time_text(seconds: float) -> str:
    """A time in Unix seconds as mails write it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%d %b %Y %H:%M} UTC"


def _line(text: str) -> str:
    return " ".join(_printable(text).split())[:_MAX_SUBJECT]


def _in_one_line(value: Any) -> Any:
    """A value as it is printed: a line break in somebody's name begins no paragraph of ours. Leaves markup alone."""
    return _printable(value) if type(value) is str else value


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
