from __future__ import annotations

from ipaddress import ip_network

from softphone.net import TransportLimits


def test_a_source_is_trusted_by_its_network_also_within_ipv6():
    limits = TransportLimits(trusted_sources=(ip_network("192.0.2.0/24"), ip_network("fe80::/10")))
    hosts = ("192.0.2.7", "::ffff:192.0.2.7", "fe80::1%eth0", "192.0.3.1", "2001:db8::1")
    assert [limits.trusts(host) for host in hosts] == [True, True, True, False, False]
    assert not TransportLimits().trusts("127.0.0.1")
