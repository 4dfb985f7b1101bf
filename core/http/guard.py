"""The outbound guard: a tenant's URL must not lead into our own network.

A name is looked up once, every address of it is checked, and the connection goes to a checked address, so a name server
that changes its answer in between gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from core.config import setting
from core.errors import InvalidInput
from core.http.errors import AddressRefused
from core.http.origin import HOST_NAME, Origin

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, the preferred one first. Raises OSError."""

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
            "::/96",
            "64:ff9b:1::/48",  # NAT64 for private networks
            "100::/64",
            "2001::/23",  # protocol assignments, Teredo among them
            "fec0::/10",
        ),
    )
)
"""What the standard library's tables call public, in one Python version or another."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class OutboundGuard:
    """Refuses addresses that are not public: loopback, private, link-local, CGNAT, multicast, cloud metadata.

    `allow` holds exceptions: a host name, `.suffix` for all names below it, an address, or a network like 10.0.0.0/8.
    """

    def __init__(self, allow: Iterable[str] = (), *, enabled: bool = True, lookup: Lookup | None = None) -> None:
        """Raises ValueError for an entry of `allow` that is none of these."""
        self._enabled = enabled
        self._lookup = lookup or _system_lookup
        self._hosts: set[str] = set()
        self._suffixes: list[str] = []
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in allow:
            self._allow(entry.strip().lower())

    async def validate_url(self, url: str, *, field: str = "baseUrl") -> Origin:
        """For the moment a provider is configured. Raises InvalidInput naming `field`."""
        origin = Origin.parse(url, field=field)
        try:
            await self.addresses(origin.host, origin.port)
        except AddressRefused:
            raise InvalidInput(
                f"{field} leads to an address that is not public. An operator can allow it.",
                field=field,
                reason="ADDRESS_REFUSED",
            ) from None
        except OSError:
            raise InvalidInput(f"The host of {field} has no address.", field=field) from None
        return origin

    async def addresses(self, host: str, port: int) -> list[str]:
        """Where `host` may be connected to. Raises AddressRefused if any of its addresses is forbidden, OSError if it
        has none."""
        found = [host] if _literal(host) is not None else await self._lookup(host, port)
        if not found:
            raise OSError("the name has no address")
        if self._enabled and not self._host_allowed(host) and not all(map(self._address_allowed, found)):
            raise AddressRefused("The provider's address is not public, and this service may not connect to it.")
        return found

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
        name = host.rstrip(".")
        return name in self._hosts or any(name.endswith(suffix) for suffix in self._suffixes)

    def _address_allowed(self, address: str) -> bool:
        ip = _literal(address)
        if ip is None:
            return False
        plain = _unwrapped(ip)
        if any(plain in network for network in self._networks):
            return True
        return _is_public(plain)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4 or NAT64."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NEVER)


async def _system_lookup(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


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
        """Raises ValueError for an entry of `allowed_hosts` that is none of these."""
        return OutboundGuard(self.allowed_hosts, enabled=self.block_private)
