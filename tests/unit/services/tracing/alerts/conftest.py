"""An installation with alerts for a test, and a process of it whose jobs do not run yet."""

from collections.abc import AsyncIterator

import pytest

from tests.support.alerts_harness import Installation, Process


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    made = Installation()
    yield made
    for process in made.processes:
        await process.stop()


@pytest.fixture
def process(installation: Installation) -> Process:
    return installation.process()
