"""Limits on sign-in attempts: by address, by account, and by both together.

Wrong passwords are counted, right ones are not. An account remembers the networks that its password was right from. A
wrong password from one of those counts for that network alone; one from elsewhere counts for its address, for the
account at that address, and for the account over all addresses, so that guesses from many places meet a limit. Whoever
does not know the password can therefore keep nobody from signing in from where they usually do.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core import context
from core.addresses import network_of
from core.errors import RateLimited, Unavailable
from core.rate_limits.ports import RateLimits
from core.tenancy import MAIN, Tenant
from services.auth.domain.records import User


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """Each as "10/15 minutes", but `known_networks`, which is a number."""

    login: str
    login_of_address: str
    login_of_account: str
    sign_ins: str
    register: str
    accept: str
    forgot: str
    forgot_of_address: str
    known_networks: int


@dataclass(slots=True)
class Attempt:
    """One try at a password. It counts unless the password turns out to be `right`."""

    right: bool = False


class Attempts:
    """Every method that counts raises RateLimited when it is one too many, and Unavailable while the counters that
    replicas share are away: guesses must not be spread over replicas."""

    def __init__(self, rate_limits: RateLimits, limits: AttemptLimits) -> None:
        self._rate_limits = rate_limits
        self._limits = limits

    @asynccontextmanager
    async def password(self, email_key: str, *, known: bool) -> AsyncIterator[Attempt]:
        """Count an attempt at the password of the accounts of an email; `known`: from a network that they know.

        It counts until the block has found the password right, so that many tries at once are as many as one by one,
        and goes on to count where the caller hangs up. It does not count where it is refused unheard.
        """
        limits, account, address = self._limits, _digest(email_key), _address()
        buckets = [(f"password:both:{account}:{address}", limits.login)]
        if not known:
            buckets.insert(0, (f"password:address:{address}", limits.login_of_address))
            buckets.append((f"password:account:{account}", limits.login_of_account))
        counted: list[tuple[str, str]] = []
        attempt = Attempt()
        try:
            for bucket, limit in buckets:
                await self._hit(bucket, limit)
                counted.append((bucket, limit))
            yield attempt
        except (RateLimited, Unavailable):
            await self._give_back(counted)
            raise
        if attempt.right:
            await self._give_back(counted)

    async def _hit(self, bucket: str, limit: str) -> None:
        await self._rate_limits.hit(MAIN, bucket, limit, strict=True)

    async def _give_back(self, counted: Iterable[tuple[str, str]]) -> None:
        for bucket, limit in counted:
            await self._rate_limits.give_back(MAIN, bucket, limit)

    async def sign_in(self, tenant: Tenant, user: User) -> None:
        """Count a sign-in with the right password, which costs a hash all the same."""
        await self._rate_limits.hit(tenant, f"sign-in:{user.id}:{_address()}", self._limits.sign_ins, strict=True)

    async def register(self) -> None:
        await self._hit(f"register:{_address()}", self._limits.register)

    async def unknown_invitation(self) -> None:
        """Count an invitation secret that is unknown: those that are right are never refused because of it."""
        await self._hit(f"invitation:{_address()}", self._limits.accept)

    async def accept(self, tenant: Tenant, invitation_id: str) -> None:
        await self._rate_limits.hit(tenant, f"accept:{invitation_id}", self._limits.accept, strict=True)

    async def forgot_password(self, email_key: str) -> None:
        """Count a request for a new password, the same way whether there is an account of that email."""
        await self._hit(f"forgot:address:{_address()}", self._limits.forgot_of_address)
        await self._hit(f"forgot:account:{_digest(email_key)}", self._limits.forgot)

    async def unknown_reset(self) -> None:
        """Count a token for a new password that is unknown: those that are right are never refused because of it."""
        await self._hit(f"reset:address:{_address()}", self._limits.forgot_of_address)

    def knows(self, user: User) -> bool:
        """Return whether the account's password has been right from the caller's network before."""
        return any(mark in user.known_networks for mark in networks_for(user.id))

    def remember(self, user: User) -> tuple[str, ...]:
        """The account's known networks with the caller's first, without the least recently used ones."""
        here = networks_for(user.id)
        others = (mark for mark in user.known_networks if mark not in here)
        return (*here, *others)[: self._limits.known_networks]


def networks_for(user_id: str) -> tuple[str, ...]:
    """The caller's network as an account remembers it, which shows nobody's address; none outside a request."""
    return (_digest(f"{user_id}/{_address()}")[:16],) if context.current() else ()


def _address() -> str:
    request = context.current()
    return network_of(request.peer_address if request else "")


def _digest(text: str) -> str:
    """A bucket name of bounded length that shows nobody's address in the counters."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
