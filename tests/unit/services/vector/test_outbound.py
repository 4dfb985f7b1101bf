"""Where a provider's settings lead."""

from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.guard import OutboundGuard
from services.vector.adapters.outbound import AddressCheck
from tests.support.exact_engine import ExactEngine, driver

DRIVER = driver("any", ExactEngine())


async def lookup(host: str, port: int) -> list[str]:
    names = {"db.example": ["93.184.216.34"], "inside.example": ["10.0.0.5"], "mixed.example": ["8.8.8.8", "::1"]}
    if host not in names:
        raise OSError("unknown")
    return names[host]


CHECK = AddressCheck(OutboundGuard(["allowed.internal"], lookup=lookup))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"url": "https://db.example:6334"},
        {"url": "https://93.184.216.34"},
        {"url": "https://[2606:4700::1111]:6334"},
        {"dsn": "postgresql://user:p%40ss@db.example:5432/x?sslmode=require"},
        {"host": "db.example", "port": "5432"},
    ],
)
async def test_public_addresses_pass(values: dict[str, Any]) -> None:
    await CHECK(DRIVER, {}, values)
    await CHECK(DRIVER, values, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "http://127.0.0.1:6334"),
        ("url", "http://[::1]:6334"),
        ("url", "http://[::ffff:10.0.0.1]"),
        ("url", "http://169.254.169.254/latest/meta-data"),
        ("url", "http://2130706433"),
        ("url", "http://inside.example"),
        ("url", "http://mixed.example"),
        ("url", "http://nowhere.example"),
        ("url", "http://db.example@inside.example"),
        ("url", "http://db.example:99999"),
        ("url", "http://"),
        ("url", "http://[::1"),
        ("dsn", "postgresql://db.example,inside.example:5432/x"),
        ("dsn", "postgresql://db.example/x?host=inside.example"),
        ("dsn", "postgresql://db.example/x?hostaddr=10.0.0.5"),
        ("dsn", "postgresql:///x?host=/var/run/postgresql"),
        ("dsn", "postgresql:///x"),
        ("dsn", "postgresql://user@/x"),
        ("dsn", "postgresql://db.example/x?servicefile=/tmp/mine&service=s"),
        ("dsn", "postgresql://db.example/x?passfile=/etc/passwd"),
        ("dsn", "postgresql://%31%30.0.0.5/x"),
        ("host", ""),
        ("host", "inside.example"),
        ("host", "db.example, 10.0.0.1"),
        ("host", "/var/run/postgresql"),
    ],
)
async def test_all_else_is_refused_and_named(name: str, value: str) -> None:
    for scope in ("credentials", "settings"):
        values = ({name: value}, {}) if scope == "credentials" else ({}, {name: value})
        with pytest.raises(InvalidInput) as caught:
            await CHECK(DRIVER, *values)
        assert caught.value.field == f"{scope}.{name}"


async def test_an_operator_may_allow_a_host() -> None:
    async def inside(host: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    check = AddressCheck(OutboundGuard(["allowed.internal"], lookup=inside))
    await check(DRIVER, {}, {"url": "http://allowed.internal:6334"})
    with pytest.raises(InvalidInput):
        await check(DRIVER, {}, {"url": "http://other.internal:6334"})
    await AddressCheck(OutboundGuard([], enabled=False, lookup=inside))(DRIVER, {}, {"url": "http://other.internal"})
