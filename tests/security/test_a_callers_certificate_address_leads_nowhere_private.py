"""The address that a caller names for its carrier's certificate (STIR) leads nowhere but out."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from softphone.errors import TransportError
from softphone.net.http import RepositoryFetcher
from softphone.net.stream import system_addresses
from softphone.security import RevocationMode
from softphone.trust import Service, TlsSettings, TrustStore
from tests.support.certificates import authority


def fetcher(resolve=system_addresses, allowed=()) -> RepositoryFetcher:
    tls = TlsSettings(
        store=TrustStore([authority().certificate]),
        service=Service.HTTPS,
        revocation=RevocationMode.OFF,
        fips=False,
    )
    return RepositoryFetcher(tls, resolve=resolve, allowed=allowed)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "168.63.129.16",
        "10.0.0.1",
        "192.168.0.1",
        "100.100.100.200",
    ],
)
async def test_no_spelling_of_a_private_address_is_accepted(host):
    with pytest.raises(TransportError, match=r"no public address|has no address"):
        await fetcher().fetch(f"https://{host}/carrier.pem")


@pytest.mark.parametrize("private", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1"])
async def test_no_name_leads_to_a_private_address(private):
    async def resolve(host: str):
        return ["8.8.8.8", private]

    with pytest.raises(TransportError, match="no public address"):
        await fetcher(resolve).fetch("https://cert.example.test/carrier.pem")


async def test_a_network_that_is_allowed_allows_no_other():
    with pytest.raises(TransportError, match="no public address"):
        await fetcher(allowed=(ip_network("10.0.0.0/8"),)).fetch("https://127.0.0.1/")
