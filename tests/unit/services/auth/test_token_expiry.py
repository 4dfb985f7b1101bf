"""API tokens end by time, for all purposes at once."""

import pytest

from core.errors import NotFound
from core.tenancy import Tenant
from services.auth.domain.tokens import NewToken
from tests.unit.services.auth.conftest import Harness
from tests.unit.services.auth.test_accounts import call_as, register

ACME = Tenant("acme")


async def test_an_expired_token_is_neither_listed_nor_counted_nor_deleted(harness: Harness) -> None:
    """It was listed until another one was made."""
    process = await harness.start()
    call_as(process, (await register(process)).session.token)
    tokens = process.domain.tokens
    made, _ = await tokens.create(NewToken("brief", expires_at=harness.clock.now + 120))
    lasting, _ = await tokens.create(NewToken("lasting"))
    assert made.expires_at is not None
    harness.clock.now = made.expires_at
    assert [each.id for each in (await tokens.page("", 0, ""))[0]] == [lasting.id]
    assert await process.domain.tables.tokens.count(ACME) == 1
    with pytest.raises(NotFound):
        await tokens.delete(made.id)
