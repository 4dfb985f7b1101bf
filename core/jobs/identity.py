"""The identity that a running job calls other services with: a short-lived token for its own project.

A kind of job names the scopes that its jobs need when it is registered, and its jobs hold these alone. The token is
renewed for as long as the handler runs, and forgotten when it ends.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from core import context, logs
from core.context import Identity, JobContext, RequestContext
from core.errors import PorticoError, Unavailable
from core.jobs.run import Postponed
from core.tenancy import Project

log = logs.get(__name__)

RENEW_SECONDS = 60.0
"""Time before its expiry at which a token is renewed: longer than any one call that is made with it."""
_RETRY_SECONDS = 5.0
"""Pause after a renewal that failed, and until a job is begun again while there is no token to be had."""


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A bearer token of kind SERVICE and what it says, as verified."""

    text: str
    identity: Identity


class ServiceTokens(Protocol):
    """The source of service tokens."""

    async def get(self, project: Project, scopes: frozenset[str]) -> ServiceToken:
        """Return a token with exactly these scopes that is valid for another RENEW_SECONDS at least. Raises NotFound
        for a tenant or project that is not there or is being removed, Unavailable while auth is away."""


@asynccontextmanager
async def acting(
    tokens: ServiceTokens, scopes: frozenset[str], clock: Callable[[], float] = time.time
) -> AsyncIterator[None]:
    """Give the present job an identity within the block. Raises as `ServiceTokens.get`, but Postponed for Unavailable:
    that auth is away is no failure of the job."""
    request = context.current()
    assert request is not None
    assert request.job is not None
    job = request.job
    try:
        token = await tokens.get(job.project, scopes)
    except Unavailable as error:
        raise Postponed(max(error.retry_after or 0.0, _RETRY_SECONDS)) from error
    job.token = token.text
    context.bind(_with_identity(request, token.identity))
    renewal = asyncio.create_task(_renew(tokens, scopes, job, token, clock), name=f"token of {job.id}")
    try:
        yield
    finally:
        renewal.cancel()
        job.token = None


def _with_identity(request: RequestContext, identity: Identity) -> RequestContext:
    """`identity` without an end, since the token behind it is renewed."""
    return request._replace(
        identity=Identity(
            identity.project,
            identity.subject,
            identity.kind,
            identity.scopes,
            identity.token_id,
            identity.issued_at,
            expires_at=None,
        )
    )


async def _renew(
    tokens: ServiceTokens, scopes: frozenset[str], job: JobContext, token: ServiceToken, clock: Callable[[], float]
) -> None:
    while token.identity.expires_at is not None:
        await asyncio.sleep(max(_RETRY_SECONDS, token.identity.expires_at - RENEW_SECONDS - clock()))
        try:
            token = await tokens.get(job.project, scopes)
        except PorticoError as error:  # the calls that are made with the old one say what is wrong
            log.warning("token of a job not renewed", job=job.id, reason=error.reason)
        else:
            job.token = token.text
