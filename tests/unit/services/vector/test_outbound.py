"""Addresses that a provider's settings lead to."""

from collections.abc import Mapping

import pytest

from core.errors import InvalidInput
from core.http.guard import OutboundGuard
from core.providers.drivers import Host
from services.vector.adapters.postgres_target import PostgresTarget, TlsMode
from tests.support.providers import configure
from tests.support.remote_engines import drivers_at

DRIVERS = drivers_at()
FIELDS = {"database": "d", "user": "u"}
STRING = "credentials.connectionString"


async def lookup(host: str, port: int) -> list[str]:
    names = {
        "db.example": ["93.184.216.34"],
        "xn--bcher-kva.example": ["93.184.216.34"],
        "inside.example": ["10.0.0.5"],
        "mixed.example": ["8.8.8.8", "::1"],
    }
    if host not in names:
        raise OSError("unknown")
    return names[host]


GUARD = OutboundGuard(["allowed.internal"], lookup=lookup)


async def check(
    driver: str, credentials: Mapping[str, str], settings: Mapping[str, str], guard: OutboundGuard = GUARD
) -> None:
    """As a provider is checked when it is made."""
    await configure(DRIVERS[driver], credentials, settings, guard)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://db.example:6335", "db.example", 6335),
        ("https://db.example", "db.example", 6334),
        ("https://db.example/", "db.example", 6334),
        ("HTTPS://DB.example:443", "db.example", 443),
        ("https://93.184.216.34", "93.184.216.34", 6334),
        ("https://[2606:4700::1111]:6334", "2606:4700::1111", 6334),
    ],
)
async def test_a_qdrant_server(url: str, host: str, port: int) -> None:
    await check("qdrant", {}, {"url": url})
    assert DRIVERS["qdrant"].hosts({}, {"url": url}) == (Host(host, port, "settings.url"),)


@pytest.mark.parametrize(
    ("text", "hosts", "rest"),
    [
        ("postgresql://u:p%40ss@db.example:5433/x?sslmode=require", [("db.example", 5433)], ("u", "p@ss", "x")),
        ("postgres://u@db.example", [("db.example", 5432)], ("u", "", "u")),
        ("postgresql://u:a:b@93.184.216.34/a%2Fb", [("93.184.216.34", 5432)], ("u", "a:b", "a/b")),
        ("postgresql://u@[2606:4700::1111]:1/x", [("2606:4700::1111", 1)], ("u", "", "x")),
        ("postgresql://u@db.example,93.184.216.34:7/x", [("db.example", 5432), ("93.184.216.34", 7)], ("u", "", "x")),
        ("postgresql://u@bücher.example/x", [("xn--bcher-kva.example", 5432)], ("u", "", "x")),
    ],
)
async def test_a_connection_string(text: str, hosts: list[tuple[str, int]], rest: tuple[str, str, str]) -> None:
    await check("pgvector", {"connectionString": text}, {})
    target = PostgresTarget.of({"connectionString": text}, {})
    assert [(host.name, host.port) for host in target.hosts] == hosts
    assert (target.user, target.password, target.database) == rest
    assert "p@ss" not in repr(target)


def test_tls_is_what_the_settings_say_or_else_the_string() -> None:
    def tls(text: str, **settings: str) -> TlsMode:
        return PostgresTarget.of({"connectionString": text}, settings).tls

    assert tls("postgresql://u@h") is TlsMode.PREFER
    assert tls("postgresql://u@h?sslmode=verify-full") is TlsMode.VERIFY_FULL
    assert tls("postgresql://u@h?sslmode=verify-full", ssl="require") is TlsMode.REQUIRE
    assert tls("postgresql://u@h?sslmode=allow") is TlsMode.PREFER


async def test_single_fields() -> None:
    settings = {**FIELDS, "host": "db.example", "port": "7"}
    await check("pgvector", {"password": "p"}, settings)
    target = PostgresTarget.of({"password": "p"}, settings)
    assert (target.hosts, target.password) == ((Host("db.example", 7, "settings.host"),), "p")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6334",
        "http://[::1]:6334",
        "http://[::ffff:10.0.0.1]",
        "http://[::ffff:0:10.0.0.1]",
        "http://169.254.169.254/latest/meta-data",
        "http://169.254.169.254",
        "http://2130706433",
        "http://inside.example",
        "http://mixed.example",
        "http://nowhere.example",
        "http://db.example@inside.example",
        "http://db.example:99999",
        "http://db.example:0",
        "http://db.example/path",
        "http://db.example?x=y",
        "http://",
        "http://[::1",
        "db.example:6334",
    ],
)
async def test_no_other_qdrant_server(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await check("qdrant", {}, {"url": url})
    assert caught.value.field == "settings.url"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u@db.example,inside.example:5432/x",
        "postgresql://u@db.example/x?host=inside.example",
        "postgresql://u@db.example/x?hostaddr=10.0.0.5",
        "postgresql://u@db.example/x?servicefile=/tmp/mine&service=s",
        "postgresql://u@db.example/x?passfile=/etc/passwd",
        "postgresql://u@db.example/x?sslrootcert=/etc/passwd",
        "postgresql://u@db.example/x?sslmode=maybe",
        "postgresql://u@db.example/x#f",
        "postgresql:///x?host=/var/run/postgresql",
        "postgresql:///x",
        "postgresql://user@/x",
        "postgresql://db.example/x",
        "postgresql://u@%31%30.0.0.5/x",
        "postgresql://u@%2Fvar%2Frun/x",
        "postgresql://u@/var/run/postgresql",
        "postgresql://u@10.0.0.5/x",
        "postgresql://u@db.example@inside.example/x",
        "postgresql://u@\uff11\uff12\uff17\u3002\uff10\u3002\uff10\u3002\uff11/x",
        "postgresql://u@db.example:99999/x",
        "postgresql://u@db.example:0/x",
        "postgresql://u@[::1]/x",
        "postgresql://u@[fe80::1%eth0]/x",
        "postgresql://u@[/x",
        "postgresql://u@" + ",".join(["db.example"] * 9) + "/x",
        "mysql://u@db.example/x",
    ],
)
async def test_no_other_connection_string(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await check("pgvector", {"connectionString": text}, {})
    assert caught.value.field == STRING
    assert "inside" not in caught.value.message


@pytest.mark.parametrize(
    "host", ["inside.example", "db.example, 10.0.0.1", "/var/run/postgresql", "127.1", "[::1]", "::1"]
)
async def test_no_other_host(host: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await check("pgvector", {}, {**FIELDS, "host": host})
    assert caught.value.field == "settings.host"


@pytest.mark.parametrize("missing", ["host", "database", "user"])
async def test_a_field_that_is_missing_is_named(missing: str) -> None:
    settings = {name: value for name, value in {**FIELDS, "host": "db.example"}.items() if name != missing}
    with pytest.raises(InvalidInput) as caught:
        await check("pgvector", {"password": "p"}, settings)
    assert caught.value.field == f"settings.{missing}"


async def test_an_operator_may_allow_a_host() -> None:
    async def inside(host: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    allowed = OutboundGuard(["allowed.internal"], lookup=inside)
    await check("qdrant", {}, {"url": "http://allowed.internal:6334"}, allowed)
    with pytest.raises(InvalidInput):
        await check("qdrant", {}, {"url": "http://other.internal:6334"}, allowed)
    off = OutboundGuard([], enabled=False, lookup=inside)
    await check("qdrant", {}, {"url": "http://other.internal"}, off)
