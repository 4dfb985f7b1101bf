"""The outbound guard: a tenant's URL must not lead into our own network.

A name is looked up once, every address of it is checked, and the connection goes to a checked address, so a name server
that changes its answer in between gains nothing.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from core import logs
from core.config import setting
from core.errors import InvalidInput
from core.http.errors import AddressRefused
from core.http.limits import LOOKUP_SECONDS, REFUSAL_SECONDS
from core.http.lookup import SystemLookup
from core.http.origin import HOST_NAME

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, the preferred one first. Raises OSError."""

log = logs.get(__name__)

_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is assigned to the public. Whatever lies beyond it is for special purposes."""
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT, and the metadata service of one cloud
            "168.63.129.16/32",  # the host agent of another, in public space
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
        ),
    )
)
"""Networks that the standard library's tables wrongly call public, in one Python version or another."""
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""Bits 64 to 95 of an IPv6 address that carries an IPv4 address for ISATAP, under any prefix."""


class OutboundGuard:
    """Refuses addresses that are not public: loopback, private, link-local, CGNAT, multicast, cloud metadata.

    `allow` holds exceptions: a host name, `.suffix` for all names below it, an address, or a network like 10.0.0.0/8.
    A host without an address and one with a forbidden address are refused alike, neither before `refusal_seconds` have
    passed, so that nobody finds out which internal names exist.
    """

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        enabled: bool = True,
        lookup: Lookup | None = None,
        refusal_seconds: float = 0.0,
    ) -> None:
        """Parse the exceptions. Raises ValueError for an entry of `allow` that is none of these."""
        self._enabled = enabled
        self._lookup = lookup or SystemLookup()
        self._refusal_seconds = refusal_seconds
        self._hosts: set[str] = set()
        self._suffixes: list[str] = []
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in allow:
            self._allow(entry.strip().lower())

    async def validate_host(self, host: str, port: int, *, field: str) -> None:
        """Check a host when a provider is configured. Raises InvalidInput naming `field`."""
        try:
            await self.addresses(host, port)
        except AddressRefused:
            raise InvalidInput(
                f"{field} leads to no address that is public. Check its spelling; only an operator can allow others.",
                field=field,
                reason="ADDRESS_REFUSED",
            ) from None

    async def addresses(self, host: str, port: int) -> list[str]:
        """Resolve `host`, check its addresses and return them. Every connection asks anew.

        Raises AddressRefused if the host has no address, or any that is forbidden.
        """
        earliest = asyncio.get_running_loop().time() + self._refusal_seconds
        found, problem = await self._found(host, port)
        if not problem:
            return found
        log.info("outbound address refused", host=host, port=port, problem=problem)
        await asyncio.sleep(max(0.0, earliest - asyncio.get_running_loop().time()))
        raise AddressRefused

    async def _found(self, host: str, port: int) -> tuple[list[str], str]:
        """The addresses of a host, and why they may not be used, for the operator; empty: they may."""
        if _literal(host) is not None:
            found = [host]
        else:
            try:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    found = await self._lookup(host, port)
            except (OSError, UnicodeError):  # UnicodeError: a label that IDNA does not take
                found = []
        if not found:
            return [], "no address"
        if self._enabled and not self._host_allowed(host) and not all(map(self._address_allowed, found)):
            return [], "not public"
        return found, ""

    def _allow(self, entry: str) -> None:
        if "/" in entry or _literal(entry) is not None:
            self._networks.append(ipaddress.ip_network(entry))
        elif HOST_NAME.fullmatch(entry):
            self._hosts.add(entry.rstrip("."))
        elif entry.startswith(".") and HOST_NAME.fullmatch(entry[1:]):
            self._suffixes.append(entry.rstrip("."))
        else:
            raise ValueError(f"{entry!r} is not a host name, '.suffix', address or network")

    def _host_allowed(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return name in self._hosts or any(name.endswith(suffix) for suffix in self._suffixes)

    def _address_allowed(self, address: str) -> bool:
        """An address is as public as every address that it carries."""
        ip = _literal(address)
        if ip is None:
            return False
        return all(any(each in network for network in self._networks) or _is_public(each) for each in _carried(ip))


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _carried(ip: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The addresses that packets to `ip` may end at: an IPv4 address instead of the IPv6 one (mapped, 6to4, NAT64), or
    besides it (ISATAP). Other forms that carry one are no public IPv6 addresses at all: translated ::ffff:0:a.b.c.d,
    compatible ::a.b.c.d, Teredo, local NAT64."""
    if isinstance(ip, IPv4Address) or ip.scope_id is not None:
        return [ip]
    low = IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip in _NAT64:
        return [low]
    instead = ip.ipv4_mapped or ip.sixtofour
    if instead is not None:
        return [instead]
    return [ip, low] if (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP else [ip]


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address) and (ip not in _UNICAST or ip.scope_id is not None):
        return False  # a zone (%eth0) is for addresses of this machine's own networks
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NEVER)


@dataclass(frozen=True)
class OutboundSettings:
    """Addresses that tenants may name"""

    block_private: bool = setting(
        "PORTICO_OUTBOUND_BLOCK_PRIVATE",
        default=True,
        help="Refuse tenants' URLs that lead to loopback, private, link-local and metadata addresses.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "PORTICO_OUTBOUND_ALLOWED_HOSTS",
        default=(),
        help="Exceptions: host names, .suffixes, addresses or networks like 10.0.0.0/8.",
    )

    def __post_init__(self) -> None:
        self.guard()

    def guard(self) -> OutboundGuard:
        """The guard with these exceptions. Raises ValueError for an entry of `allowed_hosts` that is none of these."""
        return OutboundGuard(self.allowed_hosts, enabled=self.block_private, refusal_seconds=REFUSAL_SECONDS)
