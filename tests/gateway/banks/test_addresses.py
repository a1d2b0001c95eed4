"""Which peers may connect."""

from __future__ import annotations

import pytest

from gateway.banks.addresses import AllowedPeers, parse_network

CASES = [
    ([], "203.0.113.9", True),
    (["192.0.2.7"], "192.0.2.7", True),
    (["192.0.2.7"], "192.0.2.8", False),
    (["192.0.2.0/24"], "192.0.2.200", True),
    (["192.0.2.0/24"], "::ffff:192.0.2.200", True),
    (["192.0.2.9/24"], "192.0.2.1", True),
    (["2001:db8::/32"], "2001:db8:1::5", True),
    (["2001:db8::/32"], "192.0.2.1", False),
    (["fe80::/10"], "fe80::1%eth0", True),
    (["192.0.2.0/24", "127.0.0.1"], "127.0.0.1", True),
    (["192.0.2.0/24"], "", False),
    (["192.0.2.0/24"], "localhost", False),
]


@pytest.mark.parametrize(("entries", "peer", "allowed"), CASES)
def test_peers(entries: list[str], peer: str, allowed: bool) -> None:
    assert AllowedPeers(entries).allows(peer) is allowed


@pytest.mark.parametrize("text", ["", "host", "192.0.2.256", "192.0.2.0/33", "1"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor a network"):
        parse_network(text)
