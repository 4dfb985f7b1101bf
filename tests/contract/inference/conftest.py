"""The service for a test, a provider that a test tells what to do, and a caller with a model there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portico.inference.v1 import model_service_pb2
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, inference


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    async with inference(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as running:
        yield running


@pytest.fixture
async def caller(harness: Harness, provider: FakeProvider) -> Caller:
    """Of a project with the model `m` at the fake provider."""
    made = harness.caller()
    await made.provider(provider.url)
    pricing = model_service_pb2.ModelPricing(input_token_per_1m=2.0, output_token_per_1m=8.0, cached_token_per_1m=0.5)
    await made.model(pricing=pricing)
    return made
