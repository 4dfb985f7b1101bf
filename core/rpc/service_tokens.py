"""Tokens for background work, which auth mints for one project at a time; cached until shortly before they expire."""

import time
from collections.abc import Callable

import grpc

from core.cache.ports import Cache
from core.config import Secret
from core.errors import NotFound, Unauthenticated, Unavailable
from core.jobs.identity import RENEW_SECONDS, ServiceToken
from core.rpc.channel import open_channel
from core.rpc.headers import SERVICE_SECRET
from core.tenancy import Project
from core.token_verifier import TokenVerifier
from portico.auth.v1 import trust_service_pb2 as pb
from portico.auth.v1 import trust_service_pb2_grpc

_LIFE_SECONDS = 300.0
"""Longest life of a token that auth mints."""
_CALL_SECONDS = 5.0


class AuthServiceTokens:
    """A `core.jobs.identity.ServiceTokens`. `service` names the caller and is the subject of its tokens."""

    def __init__(
        self,
        service: str,
        address: str,
        secret: Secret,
        verifier: TokenVerifier,
        cache: Cache,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._address = address
        self._metadata = ((SERVICE_SECRET, secret.reveal()),)
        self._verifier = verifier
        self._cache = cache
        self._clock = clock
        self._channel: grpc.aio.Channel | None = None

    async def get(self, project: Project, scopes: frozenset[str]) -> ServiceToken:
        key = "service token " + " ".join(sorted(scopes))

        async def load() -> ServiceToken | None:
            text = await self._cache.load(
                project, key, _LIFE_SECONDS - RENEW_SECONDS, lambda: self._mint(project, scopes)
            )
            return self._checked(text)

        token = await load()
        if token is None:  # it was revoked meanwhile, its signing key was withdrawn, or it ends soon
            await self._cache.delete(project, key)
            token = await load()
        if token is None:  # auth's newest key has yet to reach this service
            raise Unavailable("No token for background work could be verified. Try again.", retry_after=1.0)
        return token

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    def _checked(self, text: str) -> ServiceToken | None:
        """The verified token; None: it is not valid for another RENEW_SECONDS."""
        try:
            identity = self._verifier.verify(text)
        except Unauthenticated:
            return None
        ends_soon = identity.expires_at is not None and identity.expires_at - self._clock() <= RENEW_SECONDS
        return None if ends_soon else ServiceToken(text, identity)

    async def _mint(self, project: Project, scopes: frozenset[str]) -> str:
        if self._channel is None:
            self._channel = open_channel(self._address)
        request = pb.MintServiceTokenRequest(
            service=self._service, tenant=project.tenant.slug, project=project.id, scopes=sorted(scopes)
        )
        stub = trust_service_pb2_grpc.TrustServiceStub(self._channel)
        try:
            answer = await stub.MintServiceToken(request, metadata=self._metadata, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFound("There is no such project.", reason="PROJECT_NOT_FOUND") from error
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:  # a kind of job names a scope that there is not
                raise RuntimeError(f"auth mints no token with the scopes {sorted(scopes)}") from error
            raise Unavailable("The auth service gives no token for background work now.", retry_after=1.0) from error
        return str(answer.token)
