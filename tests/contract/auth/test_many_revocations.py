"""More revocations than one message can hold: every service goes on to follow, and a restart succeeds.

At about 87,000 the snapshot of `WatchRevocations` passed gRPC's limit of 4 MiB: from then on no revocation reached any
service, and no restart helped.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from core.config import Secret
from core.context import Identity, Kind
from core.revocations import Revocations
from core.rpc.trust_feed import TrustFeed
from core.storage.ports import Document
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from core.token_verifier import KeyRing
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import trust_service_pb2 as trust
from tests.support.auth_service import SECRET, AuthClient, auth_service
from tests.support.legacy import write_revocations
from tests.support.waiting import until

MANY = 200_000
TENANTS = 200


@asynccontextmanager
async def following(auth: AuthClient) -> AsyncIterator[Revocations]:
    """Revocations that a service holds which follows this auth, from its first snapshot on."""
    revocations, work = Revocations(), Tasks()
    feed = TrustFeed("test", f"127.0.0.1:{auth.running.port}", Secret(SECRET), KeyRing(), revocations, work)
    feed.start()
    try:
        await until(lambda: revocations.known, 300)
        yield revocations
    finally:
        await work.drain(0)
        await feed.close()


def identity(tenant: str, token_id: str) -> Identity:
    project = Project(Tenant(tenant), "p1")
    return Identity(project, "u1", Kind.API, frozenset({"*"}), token_id, 1.0, None)


def record(number: int, now: float) -> Document:
    """A revocation as the store keeps it."""
    tenant, token_id = f"t{number % TENANTS}", f"{number:032x}"
    return {
        "id": f"{tenant}/{token_id}",
        "tenant": tenant,
        "createdAt": now - 3600 + number / MANY,
        "tokenId": token_id,
        "subject": "",
        "api": True,
        "issuedAt": now - 7200,
        "issuedBefore": 0.0,
        "kept": [],
        "expiresAt": now + 86_400,
    }


async def test_two_hundred_thousand_are_followed_and_survive_a_restart(tmp_path: Path) -> None:
    folder, now = tmp_path / "data", time.time()
    await write_revocations(folder, [record(number, now) for number in range(MANY)])
    for tenant in ("first", "restarted"):
        async with auth_service(folder) as auth, following(auth) as known:
            assert known.size >= MANY
            assert known.is_revoked(identity("t7", f"{7:032x}"))
            assert not known.is_revoked(identity("t8", f"{7:032x}"))
            owner = await auth.register(tenant)
            made = await auth.api_token(owner.token)
            await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=made.id), owner.token)
            news = identity(tenant, made.id)
            await until(partial(known.is_revoked, news))


async def test_no_message_comes_near_the_limit_of_a_client(tmp_path: Path) -> None:
    folder, now = tmp_path / "data", time.time()
    await write_revocations(folder, [record(number, now) for number in range(5000)])
    async with auth_service(folder) as auth:
        stream = auth.watch(trust.WatchRevocationsRequest(service="test"))
        messages = [await stream.read()]
        while messages[-1].more:
            messages.append(await stream.read())
        stream.cancel()
    assert [message.snapshot for message in messages] == [True] + [False] * (len(messages) - 1)
    assert len({each.token_id for message in messages for each in message.revocations}) == 5000
    assert max(message.ByteSize() for message in messages) < 256 * 1024
