"""Every RPC that changes something, on a service whose store is behind a network and away for a while."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.rag.app import serve as serve_rag
from services.rag.settings import Settings as RagSettings
from services.vector.app import serve as serve_vector
from services.vector.settings import Settings as VectorSettings
from tests.contract.auth.test_audit import PACKAGE as AUTH
from tests.contract.auth.test_audit import STEPS as AUTH_STEPS
from tests.contract.test_audit_of_services import (
    INFERENCE,
    INFERENCE_STEPS,
    RAG,
    RAG_STEPS,
    VECTOR,
    VECTOR_STEPS,
    no_index_for_a_reindex,
    service,
)
from tests.support.audit_walk import Step, Walk
from tests.support.auth_service import auth_service
from tests.support.inference_harness import inference
from tests.support.knowledge import FakeTokens, Neighbours
from tests.support.serving import connect
from tests.support.unreliable_store import UnreliableStore

pytestmark = pytest.mark.parametrize("service_store", ["slow store"], indirect=True)


async def walk_through_outages(
    walk: Walk, steps: Sequence[Step], token: Callable[[], str], stores: Sequence[UnreliableStore]
) -> None:
    """Make each call while the store is away and again when it is back: it fails with UNAVAILABLE and leaves nothing
    that stands in the way of its repetition. What needs no store (a point of a known index) may succeed twice."""
    assert stores
    outcomes: dict[str, grpc.StatusCode] = {}
    for step in steps:
        for store in stores:
            store.away = True
        try:
            await walk.call(step, token())
        except grpc.aio.AioRpcError as error:
            outcomes[step.rpc] = error.code()
        for store in stores:
            store.away = False
        walk.known |= step.keep(await _repeated(walk, step, token))
    assert set(outcomes.values()) == {grpc.StatusCode.UNAVAILABLE}, outcomes
    assert len(outcomes) > len(steps) / 2


async def _repeated(walk: Walk, step: Step, token: Callable[[], str]) -> Any:
    """The answer, once the background has settled what the outage had cut off."""
    async with asyncio.timeout(240):
        while True:
            try:
                return await walk.call(step, token())
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
            await asyncio.sleep(0.05)


async def test_auth(tmp_path: Path, service_store: list[UnreliableStore]) -> None:
    async with auth_service(tmp_path) as auth, connect(auth.running.port) as channel:
        owner = await auth.register("acme")
        member = await auth.join(owner, "m@example.com")
        walk = Walk(auth.running, channel, AUTH)
        walk.known["member"] = member.user
        await walk_through_outages(walk, AUTH_STEPS, lambda: owner.token, service_store)


async def test_inference(tmp_path: Path, service_store: list[UnreliableStore]) -> None:
    async with inference(tmp_path) as harness:
        walk = Walk(harness.running, harness.channel, INFERENCE)
        token = harness.signer.token(tenant="acme")
        await walk_through_outages(walk, INFERENCE_STEPS, lambda: token, service_store)


async def test_rag(tmp_path: Path, service_store: list[UnreliableStore]) -> None:
    soon = {"PORTICO_FILES_GRACE_SECONDS": "1", "PORTICO_FILES_SWEEP_SECONDS": "0.1"}
    neighbours = Neighbours()
    neighbours.vectors.before = no_index_for_a_reindex
    serve = partial(serve_rag, services=neighbours.services, tokens=FakeTokens())
    async with (
        service("rag", RagSettings, serve, tmp_path, **soon) as (running, signer),
        connect(running.port) as channel,
    ):
        walk = Walk(running, channel, RAG)
        await walk_through_outages(walk, RAG_STEPS, lambda: signer.token(tenant="acme"), service_store)


async def test_vector(tmp_path: Path, service_store: list[UnreliableStore]) -> None:
    slow = {"PORTICO_VECTOR_LOOKUP_SECONDS": "5"}  # a migration waits so long, and can be cancelled meanwhile
    async with (
        service("vector", VectorSettings, serve_vector, tmp_path, **slow) as (running, signer),
        connect(running.port) as channel,
    ):
        walk = Walk(running, channel, VECTOR)
        await walk_through_outages(walk, VECTOR_STEPS, lambda: signer.token(tenant="acme"), service_store)
