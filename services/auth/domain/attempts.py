"""How often somebody may try: by address, by account, and by both together."""

import hashlib
import ipaddress
from dataclasses import dataclass

from core import context
from core.rate_limits import RateLimits
from core.tenancy import MAIN, Tenant

_IPV6_NETWORK = 64
"""Bits; whoever has one IPv6 address usually has all of its /64."""


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """Each as "10/15 minutes"."""

    login: str
    login_of_address: str
    login_of_account: str
    register: str
    accept: str
    password: str


class Attempts:
    """Every method counts one attempt and raises RateLimited when it is one too many."""

    def __init__(self, rate_limits: RateLimits, limits: AttemptLimits) -> None:
        self._rate_limits = rate_limits
        self._limits = limits

    async def login(self, email: str) -> None:
        account, address = _digest(email.strip().lower()), _address()
        await self._rate_limits.hit(MAIN, f"login:address:{address}", self._limits.login_of_address)
        await self._rate_limits.hit(MAIN, f"login:both:{account}:{address}", self._limits.login)
        await self._rate_limits.hit(MAIN, f"login:account:{account}", self._limits.login_of_account)

    async def register(self) -> None:
        await self._rate_limits.hit(MAIN, f"register:{_address()}", self._limits.register)

    async def accept(self) -> None:
        await self._rate_limits.hit(MAIN, f"accept:{_address()}", self._limits.accept)

    async def password(self, tenant: Tenant, user_id: str) -> None:
        await self._rate_limits.hit(tenant, f"password:{user_id}", self._limits.password)


def _address() -> str:
    request = context.current()
    return network_of(request.peer_address if request else "")


def network_of(peer: str) -> str:
    """Whom an address stands for. Takes a bare address or gRPC's `ipv4:host:port` and `ipv6:[host]:port`."""
    family, _, rest = peer.partition(":")
    if family in ("ipv4", "ipv6"):
        peer = rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return _digest(peer)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _IPV6_NETWORK), strict=False).network_address)
    return str(address)


def _digest(text: str) -> str:
    """A bucket name of bounded length that shows nobody's address in the counters."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
