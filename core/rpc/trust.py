"""Keeps a service's key ring and revocations as auth has them, and goes on with what it knows while auth is away."""

import asyncio
from collections.abc import Iterable

import grpc
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm

from core import logs
from core.config import Secret
from core.errors import Unavailable
from core.identity import KeyRing, Revocation, Revocations
from core.rpc.chain import SERVICE_SECRET
from core.rpc.channel import open_channel
from core.tasks import Tasks
from portico.auth.v1 import key_service_pb2, key_service_pb2_grpc, trust_service_pb2, trust_service_pb2_grpc

log = logs.get(__name__)

KEY_REFRESH_SECONDS = 5.0
_SILENCE_SECONDS = 15.0
"""Auth gives a sign of life every few seconds; after this long without one the stream is taken for dead."""
_RETRY_SECONDS = 0.2


class TrustFeed:
    """Two background loops against auth: its JWKS, and its stream of revocations."""

    def __init__(
        self, service: str, address: str, secret: Secret, keys: KeyRing, revocations: Revocations, tasks: Tasks
    ) -> None:
        self._service = service
        self._secret = secret
        self._keys = keys
        self._revocations = revocations
        self._tasks = tasks
        self._channel = open_channel(address)
        self._connected = False

    def start(self) -> None:
        self._tasks.every("follow auth", _RETRY_SECONDS, self._follow)
        self._tasks.every("refresh keys", KEY_REFRESH_SECONDS, self._refresh_keys)

    async def check(self) -> None:
        """For readiness: raises until keys and revocations were learned once. Auth may go away after that."""
        if not self._keys or not self._revocations.known:
            raise Unavailable("waiting for the auth service")

    async def close(self) -> None:
        await self._channel.close()

    async def _follow(self) -> None:
        """Until the stream ends: the keys, then the revocations as they come."""
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

    async def _follow_stream(self) -> None:
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
            self._revocations.replace(_revocations(answer.revocations))
            if not self._connected:
                log.info("following auth", revocations=len(answer.revocations))
            self._connected = True
        elif answer.revocations:
            self._revocations.add(_revocations(answer.revocations))


def _public_key(key: key_service_pb2.Jwk) -> EllipticCurvePublicKey:
    loaded = ECAlgorithm.from_jwk({"kty": key.kty, "crv": key.crv, "x": key.x, "y": key.y})
    if not isinstance(loaded, EllipticCurvePublicKey):
        raise TypeError("a JWKS holds public keys only")
    return loaded


def _revocations(messages: Iterable[trust_service_pb2.Revocation]) -> list[Revocation]:
    return [
        Revocation(each.tenant, each.token_id, each.subject, each.issued_before, each.expires_at) for each in messages
    ]
