"""The auth service for a test, and the owner of a tenant in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.auth_service import AuthClient, Person, auth_service


@pytest.fixture
async def auth(tmp_path: Path) -> AsyncIterator[AuthClient]:
    async with auth_service(tmp_path / "data") as client:
        yield client


@pytest.fixture
async def owner(auth: AuthClient) -> Person:
    return await auth.register("acme")
