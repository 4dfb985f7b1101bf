"""Client networks, which limits per address are counted by."""

import hashlib
import ipaddress
from functools import lru_cache

_IPV6_NETWORK = 64
"""Bits; whoever has one IPv6 address usually has all of its /64."""


@lru_cache(4096)
def network_of(peer: str) -> str:
    """The network of a client: an IPv4 address itself, or the /64 of an IPv6 address.

    Takes a bare address or gRPC's `ipv4:host:port` and `ipv6:[host]:port`. What is no address, such as a path of a Unix
    socket, becomes a text of bounded length.
    """
    family, _, rest = peer.partition(":")
    if family in ("ipv4", "ipv6"):
        peer = rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return hashlib.sha256(peer.encode(errors="surrogatepass")).hexdigest()[:32]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _IPV6_NETWORK), strict=False).network_address)
    return str(address)
