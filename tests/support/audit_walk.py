"""Calls of audited RPCs one after the other, and the entries that each must leave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from core.app import Running
from core.audit.records import AUDIT_LOG, AuditEntry
from core.rpc.audit_rules import AuditRule
from core.rpc.policy import policies_of
from core.storage.scan import scan
from core.storage.table import from_document
from core.tenancy import Tenant
from tests.contract.test_contracts import METHODS

PLANTED = "planted-secret-4711"
"""In every value that a request may hold beside names: it must not reach the log."""


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def audited(package: str) -> dict[str, AuditRule]:
    """The rules of the audited RPCs of a package, by path."""
    services = {method.containing_service.full_name: method.containing_service for method in METHODS}
    rules = {
        path: policy.audit
        for name, service in services.items()
        if name.startswith(f"{package}.")
        for path, policy in policies_of(service).items()
    }
    return {path: rule for path, rule in rules.items() if rule is not None}


@dataclass(frozen=True)
class Step:
    """One call, "Service/Method". Fields and resource may depend on what earlier steps have kept."""

    rpc: str
    fields: Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]]
    resource: str | Callable[[dict[str, Any]], str]
    """Resource that its entry must name."""
    denied_resource: str | None = None
    """Resource that the entry of a refusal names, where that is not the same."""
    keep: Callable[[Any], Mapping[str, Any]] = lambda answer: {}
    """Choice of what later steps need of the answer."""
    after: "Callable[[Walk, str], Awaitable[None]] | None" = None
    """Awaited with a token before the next step, where what was asked for goes on behind the answer."""


class Walk:
    """Makes the calls on a channel of a running service."""

    def __init__(self, running: Running, channel: grpc.aio.Channel, package: str) -> None:
        self._running = running
        self._channel = channel
        self._methods = {path_of(method): method for method in METHODS}
        self._package = package
        self.known: dict[str, Any] = {}

    def path(self, rpc: str) -> str:
        return f"/{self._package}.{rpc}"

    async def call(self, step: Step, token: str) -> Any:
        method = self._methods[self.path(step.rpc)]
        make = message_factory.GetMessageClass(method.input_type)
        read = message_factory.GetMessageClass(method.output_type).FromString
        given = step.fields(self.known) if callable(step.fields) else step.fields
        metadata = (("authorization", f"Bearer {token}"), ("x-request-id", f"walk {step.rpc}"))
        if method.client_streaming:
            call = self._channel.stream_unary(path_of(method), lambda each: each.SerializeToString(), read)
            return await call(_each([make(**given)]), metadata=metadata, timeout=60)
        unary = self._channel.unary_unary(path_of(method), lambda each: each.SerializeToString(), read)
        return await unary(make(**given), metadata=metadata, timeout=60)

    async def entries(self, tenant: str) -> list[AuditEntry]:
        """The tenant's log, oldest first, once all that has ended is in it."""
        platform = self._running.platform
        await platform.audit.close()
        return [from_document(AuditEntry, each) async for each in scan(platform.store, Tenant(tenant), AUDIT_LOG)]

    def rule(self, rpc: str) -> AuditRule:
        return audited(self._package)[self.path(rpc)]

    async def of(self, tenant: str, rpc: str, actor: str) -> list[AuditEntry]:
        """The entries of an actor's call, once there is one: a refusal is recorded just after its answer. What a job
        that the call began has left is called by another action."""
        wanted = (f"walk {rpc}", self.rule(rpc).action, actor)
        async with asyncio.timeout(10):
            while True:
                entries = await self.entries(tenant)
                found = [each for each in entries if (each.request_id, each.action, each.actor_id) == wanted]
                if found:
                    return found
                await asyncio.sleep(0.005)


async def _each(messages: Iterable[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message


async def walk_succeeds(
    walk: Walk, steps: Iterable[Step], tenant: str, token: Callable[[], str], actor: str, kind: str
) -> None:
    """Every step leaves exactly one entry, of the caller and about the right resource. `token` may make a new one each
    time, since what one token does twice may be one entry."""
    for step in steps:
        answer = await walk.call(step, token())
        walk.known |= step.keep(answer)
        if step.after is not None:
            await step.after(walk, token())
        (entry,) = await walk.of(tenant, step.rpc, actor)
        rule = walk.rule(step.rpc)
        wanted = step.resource(walk.known) if callable(step.resource) else step.resource
        told = (entry.action, entry.resource_type, entry.outcome, entry.resource_id, entry.count)
        assert told == (rule.action, rule.resource_type, "success", wanted, 1), step.rpc
        assert (entry.actor_kind, entry.actor_id) == (kind, actor), step.rpc
        assert entry.token_id
        assert entry.project_id


async def walk_is_denied(walk: Walk, steps: Iterable[Step], tenant: str, token: Callable[[], str], actor: str) -> None:
    """The same with a token without any scope that helps."""
    for step in steps:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await walk.call(step, token())
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED, (step.rpc, caught.value.details())
        (entry,) = await walk.of(tenant, step.rpc, actor)
        rule = walk.rule(step.rpc)
        wanted = step.resource(walk.known) if callable(step.resource) else step.resource
        wanted = wanted if step.denied_resource is None else step.denied_resource
        told = (entry.action, entry.resource_type, entry.outcome, entry.reason, entry.resource_id)
        assert told == (rule.action, rule.resource_type, "denied", "MISSING_SCOPE", wanted), step.rpc
        assert (entry.actor_id, entry.count) == (actor, 1), step.rpc


def check_complete(package: str, steps: Iterable[Step], *others: str) -> None:
    """The steps call every audited RPC of the package but `others`."""
    assert {f"/{package}.{step.rpc}" for step in steps} | set(others) == set(audited(package))


def check_clean(entries: Iterable[AuditEntry]) -> None:
    assert PLANTED not in str(list(entries))
