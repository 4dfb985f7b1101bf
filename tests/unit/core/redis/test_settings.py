"""Settings of Redis."""

from pathlib import Path

import pytest

from core.app import CoreSettings
from core.config import ConfigError, load
from core.redis.settings import RedisSettings
from tests.support.serving import environment


def test_a_password_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n")
    named = {"PORTICO_REDIS_PASSWORD_FILE": str(file)}
    address = load(RedisSettings, {"REDIS_URL": "redis://app@cache", **named}).address()
    assert (address.user, address.password) == ("app", "from the file")
    with pytest.raises(ConfigError, match="cannot both be set"):
        load(RedisSettings, {"REDIS_URL": "redis://app:pw@cache", **named})
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(RedisSettings, {"REDIS_URL": "redis://app@cache", **named})


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"REDIS_URL": "http://cache:secret"}, "REDIS_URL must begin with"),
        ({"PORTICO_REDIS_PREFIX": "a:{b}*"}, "PORTICO_REDIS_PREFIX"),
        ({"PORTICO_REDIS_CERT_FILE": "/cert"}, "must be set together"),
        ({"REDIS_URL": "redis://cache", "PORTICO_REDIS_CA_FILE": "/ca"}, "of no use without TLS"),
        ({"PORTICO_REDIS_POOL": "0"}, "PORTICO_REDIS_POOL"),
    ],
)
def test_mistakes_are_reported_without_the_url(env: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(RedisSettings, env)
    assert "secret" not in str(caught.value)


def test_a_service_on_redis_needs_its_address(tmp_path: Path) -> None:
    env = {**environment(tmp_path), "CACHE_PROVIDER": "redis"}
    with pytest.raises(ConfigError, match="REDIS_URL is missing"):
        load(CoreSettings, env)
    assert load(CoreSettings, {**env, "REDIS_URL": "redis://cache"}).redis.address().hosts == (("cache", 6379),)
