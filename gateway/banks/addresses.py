"""Which peers may connect: addresses and networks of a bank's profile.

Strategy: an entry is an address or a network ("192.0.2.7", "192.0.2.0/24", "2001:db8::/32"); an empty list lets
everybody in, because then a firewall or a balancer in front decides. An IPv4 peer that arrives on an IPv6 socket
("::ffff:192.0.2.7") is the IPv4 peer.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def parse_network(text: str) -> Network:
    """An address or network; raises ValueError, one line."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError('neither an address nor a network, such as "192.0.2.7" or "192.0.2.0/24"') from None


class AllowedPeers:
    """The peers of one bank."""

    __slots__ = ("_networks",)

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks = tuple(parse_network(entry) for entry in entries)

    def allows(self, address: str) -> bool:
        """Whether the peer at this IP address may talk to us; an address that is none never may."""
        if not self._networks:
            return True
        try:
            peer = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self._networks)
