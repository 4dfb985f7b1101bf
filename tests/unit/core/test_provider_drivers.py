"""Fields that a driver declares."""

from typing import Any

import pytest

from core.errors import InvalidInput
from core.providers.drivers import CREDENTIALS, SETTINGS, Driver, Field


def _even(path: str, value: str) -> None:
    if int(value) % 2:
        raise InvalidInput(f"{path} is odd.", field=path)


DRIVER = Driver(
    "stub",
    "StubService",
    "For tests.",
    (
        Field("apiKey", "API key", "Sent along.", secret=True),
        Field("password", "Password", "The user's.", secret=True, unicode=True),
        Field("url", "URL", "Where it is.", required=True),
        Field("size", "Size", "Even.", check=_even),
    ),
)


def test_values_become_texts_and_empty_ones_go() -> None:
    given: dict[str, Any] = {"apiKey": " key ", "password": "пароль"}
    assert DRIVER.checked(CREDENTIALS, given) == {"apiKey": "key", "password": "пароль"}
    assert DRIVER.checked(SETTINGS, {"url": "x", "size": 4}) == {"url": "x", "size": "4"}
    assert DRIVER.checked(SETTINGS, {"url": True, "size": 4.0}) == {"url": "true", "size": "4"}
    assert DRIVER.checked(CREDENTIALS, {"apiKey": "", "password": None}) == {}


@pytest.mark.parametrize(
    ("scope", "given", "field"),
    [
        (SETTINGS, {}, "settings.url"),
        (SETTINGS, {"url": " "}, "settings.url"),
        (SETTINGS, {"url": "x", "apiKey": "y"}, "settings.apiKey"),
        (SETTINGS, {"url": "x", "size": 3}, "settings.size"),
        (SETTINGS, {"url": ["x"]}, "settings.url"),
        (SETTINGS, {"url": {"a": 1}}, "settings.url"),
        (SETTINGS, {"url": "a\nb"}, "settings.url"),
        (SETTINGS, {"url": "a\0"}, "settings.url"),
        (SETTINGS, {"url": "ключ"}, "settings.url"),
        (SETTINGS, {"url": "x" * 8193}, "settings.url"),
        (SETTINGS, {"url": float("inf")}, "settings.url"),
        (SETTINGS, {"url": float("nan")}, "settings.url"),
        (CREDENTIALS, {"url": "x"}, "credentials.url"),
        (CREDENTIALS, {"password": "a\0b"}, "credentials.password"),
    ],
)
def test_what_does_not_fit_is_named(scope: str, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        DRIVER.checked(scope, given)
    assert refused.value.field == field
    assert refused.value.message.startswith((field, "The driver stub"))
