"""Connection strings of Redis."""

import pytest

from core.redis.urls import Mode, RedisAddress, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress(Mode.SINGLE, False, (("cache", 6379),))),
        ("redis://cache:7000/3", RedisAddress(Mode.SINGLE, False, (("cache", 7000),), database=3)),
        ("rediss://:p%40ss@cache", RedisAddress(Mode.SINGLE, True, (("cache", 6379),), password="p@ss")),
        ("redis://app:a@b@[::1]:1", RedisAddress(Mode.SINGLE, False, (("::1", 1),), user="app", password="a@b")),
        (
            "redis+sentinel://app:pw@s1,s2:1/main/2?sentinel_user=w&sentinel_password=x%26",
            RedisAddress(
                Mode.SENTINEL,
                False,
                (("s1", 26379), ("s2", 1)),
                user="app",
                password="pw",
                database=2,
                service="main",
                sentinel_user="w",
                sentinel_password="x&",
            ),
        ),
        ("rediss+sentinel://s1/main", RedisAddress(Mode.SENTINEL, True, (("s1", 26379),), service="main")),
        ("redis+cluster://n1,n2:7001", RedisAddress(Mode.CLUSTER, False, (("n1", 6379), ("n2", 7001)))),
        ("rediss+cluster://n1/", RedisAddress(Mode.CLUSTER, True, (("n1", 6379),))),
    ],
)
def test_what_each_part_means(url: str, address: RedisAddress) -> None:
    assert parse(url) == address


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "must begin with"),
        ("http://cache", "must begin with"),
        ("redis+ring://cache", "must begin with"),
        ("redis://", "must name a host"),
        ("redis://:secret@", "must name a host"),
        ("redis://a,b", "several hosts"),
        ("redis://cache:0", "port"),
        ("redis://cache:70000", "port"),
        ("redis://cache:x", "must name a host"),
        ("redis://cache/db", "number of a database"),
        ("redis://cache/1/2", "number of a database"),
        ("redis://cache?ssl_cert_reqs=none", "after its question mark"),
        ("redis+sentinel://s1", "must name the primary"),
        ("redis+sentinel://s1/main/x", "number of a database"),
        ("redis+sentinel://s1/main?other=1", "after its question mark"),
        ("redis+cluster://n1/1", "a cluster does not have"),
        ("redis://[::1", "URL"),
    ],
)
def test_what_cannot_be_used(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse(url)
    assert "secret" not in str(caught.value)


def test_an_address_does_not_show_its_password() -> None:
    assert "secret" not in repr(parse("redis://app:secret@cache"))
