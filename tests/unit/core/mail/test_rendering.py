"""The templates of mails, and that nothing in a value becomes a header or markup."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from core.config import Secret, load
from core.errors import InvalidInput
from core.mail.mails import AlertFired, AlertResolved, MailContent, PasswordReset, UserInvitation, Welcome
from core.mail.rendering import address, compose, render
from core.mail.settings import MailSettings

CONTENTS: tuple[type[MailContent], ...] = (Welcome, UserInvitation, PasswordReset, AlertFired, AlertResolved)
SENDER = MailSettings().from_address()


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.template)
@pytest.mark.parametrize("app_url", ["", "https://console.example.com/"])
def test_a_template_needs_exactly_the_fields_of_its_mail(content: type[MailContent], app_url: str) -> None:
    values = {field.name: f"value of {field.name}" for field in fields(content)}
    rendered = render(content.template, values, app_url)
    assert rendered.subject
    assert "{{" not in rendered.text + rendered.html
    assert ("https://console.example.com/" in rendered.text) == bool(app_url)
    said = rendered.subject + rendered.text
    unused = [value for value in values.values() if value not in said and value.replace(" ", "%20") not in said]
    assert unused in ([], ["value of email"])


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028"])
def test_a_line_break_in_a_value_adds_no_header(line_break: str) -> None:
    content = Welcome(
        "Ann", "ann@example.com", f"Acme{line_break}Bcc: eve@example.com{line_break}{line_break}Hi", "acme"
    )
    message = compose(SENDER, "ann@example.com", render("welcome", asdict(content)), "1")
    head = message.as_bytes().partition(b"\r\n\r\n")[0].decode()
    assert [line for line in head.splitlines() if line.lower().startswith("bcc")] == []
    assert message["Subject"] == "Welcome to Portico, Acme Bcc: eve@example.com Hi"


def test_a_line_break_in_a_value_begins_no_line_of_the_text() -> None:
    content = UserInvitation("Bo", "Eve\n\nPay here: https://evil.example", "Acme", "acme", "t", "then")
    assert "\nPay here" not in render("user-invitation", asdict(content)).text


def test_values_are_escaped_in_html_alone() -> None:
    content = Welcome("<b>Ann</b>", "ann@example.com", "A & B", "ab")
    rendered = render("welcome", asdict(content))
    assert "&lt;b&gt;Ann&lt;/b&gt;" in rendered.html
    assert "A &amp; B" in rendered.html
    assert "<b>Ann</b>" in rendered.text


def test_a_token_is_a_link_where_there_is_a_console_and_a_token_where_there_is_none() -> None:
    values = asdict(PasswordReset("Ann", "Acme", "acme.a+b", "then"))
    assert (
        "https://c.example/reset-password?token=acme.a%2Bb"
        in render("password-reset", values, "https://c.example").text
    )
    assert "acme.a+b" in render("password-reset", values).text


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "a@b.c\r\nBcc: d@e.f",
        "a@b.c, d@e.f",
        "Ann <a@b.c>",
        "a b@c.d",
        "a" * 251 + "@b.c",
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput):
        address(given)


def test_settings_refuse_a_password_in_the_clear() -> None:
    with pytest.raises(ValueError, match="in the clear"):
        MailSettings(host="mail.example.com", tls="none", user="u", password=Secret("secret"))
    MailSettings(host="127.0.0.1", tls="none", user="u", password=Secret("secret"))


def test_settings_read_the_password_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret\n")
    given = {"PORTICO_SMTP_HOST": "h", "PORTICO_SMTP_USER": "u", "PORTICO_SMTP_PASSWORD_FILE": str(path)}
    assert load(MailSettings, given).password == Secret("secret")
