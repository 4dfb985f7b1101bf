"""Drivers: the fields that each kind of provider is configured with, as data."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from math import isfinite
from typing import Any

from core.errors import InvalidInput

Values = Mapping[str, str]

CREDENTIALS, SETTINGS = "credentials", "settings"
MAX_VALUE = 8192


Check = Callable[[str, str], object]
"""Raises InvalidInput by `(path, value)`."""


def whole_number(low: int, high: int) -> Check:
    """Digits alone, and a number within these bounds."""

    def check(path: str, value: str) -> None:
        short = len(value) <= len(str(high))  # long ones Python does not even read
        if not value.isdecimal() or not short or not low <= int(value) <= high:
            raise InvalidInput(f"{path} must be a whole number from {low} to {high}.", field=path)

    return check


@dataclass(frozen=True, slots=True)
class Field:
    """A credential (`secret`) or setting. Values are ASCII, as all that goes into URLs and headers must be, unless
    `unicode`. A `destination` decides which host credentials are sent to, or whether others can read them on the way:
    where it changes, stored credentials must be given again."""

    name: str
    label: str
    description: str
    secret: bool = False
    required: bool = False
    check: Check | None = None
    unicode: bool = False
    destination: bool = False

    @property
    def path(self) -> str:
        """The field's path, as callers write it and errors name it."""
        return f"{self.section}.{self.name}"

    @property
    def section(self) -> str:
        return CREDENTIALS if self.secret else SETTINGS


@dataclass(frozen=True, slots=True)
class Configuration:
    """The credentials and settings of a provider."""

    credentials: Values
    settings: Values

    def get(self, field: Field) -> str | None:
        return (self.credentials if field.secret else self.settings).get(field.name)


@dataclass(frozen=True, slots=True)
class Host:
    """A server that a provider calls; `field` ("credentials.x" or "settings.x") names it."""

    name: str
    port: int
    field: str


Hosts = Callable[[Values, Values], Sequence[Host]]
"""The servers that credentials and settings lead to. Raises InvalidInput, naming the field, where they cannot be."""


def no_hosts(credentials: Values, settings: Values) -> Sequence[Host]:
    """The hosts of a driver that calls no server, or none that a tenant names."""
    return ()


@dataclass(frozen=True)
class Driver:
    """A kind of provider. Services add to it what they do with one. `Providers` holds its `hosts` against the outbound
    guard whenever a provider is made, changed or opened."""

    id: str
    label: str
    description: str
    fields: tuple[Field, ...]
    hosts: Hosts = dataclass_field(default=no_hosts, kw_only=True)

    async def check(self, credentials: Values, settings: Values) -> None:
        """Check the values together. Raises InvalidInput where values that are valid one by one do not fit each
        other."""

    def check_destination(self, old: Configuration, new: Configuration, given: Container[str]) -> None:
        """Check that kept credentials keep their destination. Raises InvalidInput where a credential that is not among
        the `given` would go to another destination than it was given for: whoever may change an address must not learn
        the secrets that others stored with it."""
        moved = next((each for each in self.fields if each.destination and old.get(each) != new.get(each)), None)
        if moved is None:
            return
        for field in self.fields:
            if field.secret and field.name in new.credentials and field.name not in given:
                raise InvalidInput(
                    f"{moved.path} decides where {field.path} is sent, and it changes: send {field.path} again.",
                    field=field.path,
                    reason="CREDENTIAL_NEEDED_AGAIN",
                )

    def checked(self, section: str, given: Mapping[str, Any]) -> dict[str, str]:
        """The values of one scope as texts, without empty ones. Raises InvalidInput for what is unknown, missing or
        malformed."""
        fields = {field.name: field for field in self.fields if field.section == section}
        values: dict[str, str] = {}
        for name, value in given.items():
            path = f"{section}.{name}"
            if name not in fields:
                raise InvalidInput(f"The driver {self.id} has no {path}.", field=path)
            if text := _text(path, value, fields[name]):
                values[name] = text
        for name, field in fields.items():
            path = f"{section}.{name}"
            if field.required and name not in values:
                raise InvalidInput(f"The driver {self.id} needs {path}: {field.description}", field=path)
            if field.check is not None and name in values:
                field.check(path, values[name])
        return values


def _text(path: str, value: Any, field: Field) -> str:
    match value:
        case None:
            return ""
        case bool():
            text = str(value).lower()
        case int() | float() if isfinite(value):
            text = str(int(value) if value == int(value) else value)
        case _:
            text = value
    fits = isinstance(text, str) and len(text) <= MAX_VALUE and (text.isprintable() or not text)
    if not fits or not (field.unicode or text.isascii()):
        kind = "" if field.unicode else " ASCII"
        raise InvalidInput(f"{path} must be a text of at most {MAX_VALUE} printable{kind} characters.", field=path)
    return text.strip()
