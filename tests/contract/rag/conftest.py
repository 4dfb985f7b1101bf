"""The service for a test, and a server that speaks S3's protocol."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rag_client import (
    RagClient,
    served,
)
from tests.support.rag_world import World
from tests.support.serving import connect
from tests.support.tokens import Signer


@pytest.fixture
async def world(tmp_path: Path, signer: Signer) -> AsyncIterator[World]:
    async with (
        served(tmp_path, signer) as running,
        connect(running.port) as channel,
    ):
        yield World(running, channel, signer, tmp_path)


@pytest.fixture
def client(world: World) -> RagClient:
    return world.client()
