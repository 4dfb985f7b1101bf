"""Rules for the fields of requests: one table, checked before anything else happens.

Every rule raises InvalidInput with the field's name as JSON spells it.
"""

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from core.errors import InvalidInput

SLUG_LENGTH = 48
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
_SLUG = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{SLUG_LENGTH - 2}}}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Text:
    """A text of `low` to `high` characters, without surrounding space."""

    field: str
    low: int
    high: int
    lines: bool = False
    """True if it may hold line breaks and tabs."""

    def check(self, given: str) -> str:
        text = unicodedata.normalize("NFC", given[: 4 * self.high + 1]).strip()
        if not self.low <= len(text) <= self.high:
            raise InvalidInput(f"This must have {self.low} to {self.high} characters.", field=self.field)
        if any(_forbidden(each) and not (self.lines and each in "\n\r\t") for each in text):
            raise InvalidInput("This must not hold control characters.", field=self.field)
        return text


def _forbidden(character: str) -> bool:
    return character in _BIDI_CONTROLS or unicodedata.category(character) in _UNPRINTABLE


NAME = Text("name", 1, 200)
OPTIONAL_NAME = Text("name", 0, 200)
COMPANY_NAME = Text("companyName", 1, 200)
LABEL = Text("label", 3, 100)
DESCRIPTION = Text("description", 0, 2000, lines=True)
SERVICE = Text("service", 1, 64)

MAX_EMAIL = 254
PASSWORD_LENGTH = range(8, 257)
_PASSWORD_KINDS = {"a digit": re.compile(r"\d"), "another character": re.compile(r"\W|_")}


def email(given: str) -> str:
    """The address with its domain in lower case. Syntax alone is checked: no name is looked up."""
    try:
        text = given[: 2 * MAX_EMAIL].strip()
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise InvalidInput("This is not an email address of at most 254 characters.", field="email") from None


def email_key(address: str) -> str:
    """The key by which an address is found, counted and unique: the same for every spelling of it.

    `address` comes from `email`, which has trimmed it and brought its domain to one spelling.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).lower())


def password(given: str, field: str = "password") -> str:
    """The rule for new passwords."""
    if len(given) not in PASSWORD_LENGTH:
        raise InvalidInput("A password has 8 to 256 characters.", field=field)
    missing = [kind for kind, pattern in _PASSWORD_KINDS.items() if not pattern.search(given)]
    missing += [] if any(map(str.isupper, given)) else ["an upper-case letter"]
    missing += [] if any(map(str.islower, given)) else ["a lower-case letter"]
    if missing:
        raise InvalidInput(f"The password is too weak: it lacks {', '.join(missing)}.", field=field)
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in given):
        raise InvalidInput("A password must not hold control characters.", field=field)
    return given


def slug(given: str, field: str) -> str:
    """A name for paths and tokens that the caller chose."""
    if not _SLUG.fullmatch(given):
        raise InvalidInput("This must be 1 to 48 letters a-z, digits or inner hyphens.", field=field)
    return given


def slug_from(name: str) -> str:
    """A slug made from a name; empty if the name holds no Latin letter or digit."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].rstrip("-")
