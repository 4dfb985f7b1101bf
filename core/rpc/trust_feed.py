"""Keeps a service's key ring and revocations as auth has them, and goes on with what it knows while auth is away."""

import asyncio
import time
from collections.abc import Callable
from math import inf

import grpc
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm

from core import logs
from core.config import Secret
from core.errors import Unavailable
from core.revocations import Revocation, Revocations
from core.rpc.channel import open_channel
from core.rpc.headers import SERVICE_SECRET
from core.tasks import Tasks
from core.token_verifier import KeyRing
from portico.auth.v1 import key_service_pb2, key_service_pb2_grpc, trust_service_pb2, trust_service_pb2_grpc

log = logs.get(__name__)

KEY_REFRESH_SECONDS = 5.0
_SILENCE_SECONDS = 15.0
"""Auth gives a sign of life every few seconds; after this long without one the stream is taken for dead."""
_RETRY_SECONDS = 0.2
_PRUNE_SECONDS = 600.0
_KEEP_SECONDS = 60.0
"""Time that an expired revocation stays, since clocks differ."""


class TrustFeed:
    """Two background loops against auth: its JWKS, and its stream of revocations."""

    def __init__(
        self,
        service: str,
        address: str,
        secret: Secret,
        keys: KeyRing,
        revocations: Revocations,
        tasks: Tasks,
        on_revoked: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_revoked` is called after revocations have come."""
        self._service = service
        self._secret = secret
        self._keys = keys
        self._revocations = revocations
        self._tasks = tasks
        self._on_revoked = on_revoked
        self._channel = open_channel(address)
        self._connected = False
        self._staged: Revocations | None = None
        """Received part of a snapshot that is not whole yet."""

    def start(self) -> None:
        self._tasks.every("follow auth", _RETRY_SECONDS, self._follow)
        self._tasks.every("refresh keys", KEY_REFRESH_SECONDS, self._refresh_keys)
        self._tasks.every("prune revocations", _PRUNE_SECONDS, self._prune)

    async def check(self) -> None:
        """Check readiness: raises until keys and revocations were learned once. Auth may go away after that."""
        if not self._keys or not self._revocations.known:
            raise Unavailable("waiting for the auth service")

    async def close(self) -> None:
        await self._channel.close()

    async def _follow(self) -> None:
        """Follow auth until the stream ends: the keys, then the revocations as they come."""
        try:
            await self._load_keys()
            await self._follow_stream()
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            if self._connected:
                log.warning("lost auth; known keys and revocations stay in force", error=type(error).__name__)
            self._connected = False

    async def _refresh_keys(self) -> None:
        try:
            await self._load_keys()
        except grpc.aio.AioRpcError as error:
            log.debug("keys not refreshed", code=error.code().name)

    async def _load_keys(self) -> None:
        stub = key_service_pb2_grpc.KeyServiceStub(self._channel)
        answer = await stub.GetJwks(key_service_pb2.GetJwksRequest(), timeout=5)
        if answer.keys:
            self._keys.replace({key.kid: _public_key(key) for key in answer.keys})

    async def _prune(self) -> None:
        self._revocations.prune(time.time() - _KEEP_SECONDS)

    async def _follow_stream(self) -> None:
        self._staged = None
        stub = trust_service_pb2_grpc.TrustServiceStub(self._channel)
        call = stub.WatchRevocations(
            trust_service_pb2.WatchRevocationsRequest(service=self._service),
            metadata=((SERVICE_SECRET, self._secret.reveal()),),
        )
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    answer = await call.read()
                if answer is grpc.aio.EOF:
                    return
                self._take(answer)
        finally:
            call.cancel()

    def _take(self, answer: trust_service_pb2.WatchRevocationsResponse) -> None:
        if answer.snapshot:
            self._staged = Revocations()
        if self._staged is None:
            self._revocations.add(map(_revocation, answer.revocations))
            if answer.revocations:
                self._on_revoked()
            return
        self._staged.add(map(_revocation, answer.revocations))
        if answer.more:
            return
        self._revocations.adopt(self._staged)
        self._staged = None
        self._on_revoked()
        if not self._connected:
            log.info("following auth", revocations=self._revocations.size)
        self._connected = True


def _public_key(key: key_service_pb2.Jwk) -> EllipticCurvePublicKey:
    loaded = ECAlgorithm.from_jwk({"kty": key.kty, "crv": key.crv, "x": key.x, "y": key.y})
    if not isinstance(loaded, EllipticCurvePublicKey):
        raise TypeError("a JWKS holds public keys only")
    return loaded


def _revocation(message: trust_service_pb2.Revocation) -> Revocation:
    if message.HasField("suspension"):
        change = message.suspension
        return Revocation(
            message.tenant,
            suspended=change.suspended,
            issued_before=change.changed_at,
            expires_at=message.expires_at,
        )
    return Revocation(
        message.tenant,
        message.token_id,
        message.subject or message.user_id,
        message.api_tokens or message.api_token,
        issued_at=message.issued_at or inf,
        issued_before=message.issued_before,
        kept=tuple(message.kept_token_ids),
        expires_at=message.expires_at,
        everything=message.all_tokens,
    )
