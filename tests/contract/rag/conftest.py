"""The service for a test, and a server that speaks S3's protocol."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rag_client import (
    RagClient,
    served,
)
from tests.support.rag_harness import Harness
from tests.support.serving import connect
from tests.support.tokens import Signer


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with (
        served(tmp_path, signer) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, tmp_path)


@pytest.fixture
def client(harness: Harness) -> RagClient:
    return harness.client()
