"""Certificates from addresses that strangers name: where they are fetched from, and how often."""

from __future__ import annotations

import asyncio
from functools import cache
from ipaddress import ip_network

import pytest

from softphone.errors import ConfigurationError, SoftphoneError, TransportError
from softphone.lab import Authority
from softphone.net.http import RepositoryFetcher, RepositoryLimits, is_public_address
from softphone.security import RevocationMode
from softphone.trust import Service, TlsSettings, TrustStore
from tests.support.stir import Repository

LOOPBACK = (ip_network("127.0.0.0/8"),)


@cache
def web() -> Authority:
    return Authority("web CA")


def fetcher(*, allowed=LOOPBACK, resolve=None, **limits) -> RepositoryFetcher:
    """A fetcher that believes the web's authority; names are on loopback."""

    async def loopback(host: str):
        return ["127.0.0.1"]

    tls = TlsSettings(
        store=TrustStore([web().certificate]),
        service=Service.HTTPS,
        revocation=RevocationMode.OFF,
        fips=False,
    )
    return RepositoryFetcher(
        tls, resolve=resolve or loopback, allowed=allowed, limits=RepositoryLimits(**limits)
    )


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("192.0.2.1", False),  # documentation
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("127.255.0.9", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),  # a metadata service
        ("169.254.169.254", False),  # a metadata service
        ("192.0.0.192", False),  # a metadata service
        ("168.63.129.16", False),  # a metadata service
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("2606:4700::1111", True),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),  # a metadata service
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff0e::1", False),
        ("::ffff:8.8.8.8", False),
        ("::ffff:127.0.0.1", False),
        ("::8.8.8.8", False),
        ("64:ff9b::8.8.8.8", False),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::", False),
        ("2001:0:1::1", False),
        ("2001:db8::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_which_addresses_are_public(address, public):
    assert is_public_address(address) is public


def test_a_named_network_is_allowed_and_nothing_beside_it():
    assert is_public_address("127.0.0.1", LOOPBACK)
    assert not is_public_address("::ffff:127.0.0.1", LOOPBACK)
    assert not is_public_address("10.0.0.1", LOOPBACK)


async def test_a_certificate_is_fetched_once_and_kept(tmp_path):
    async with Repository(tmp_path, web(), b"PEM") as repository:
        fetches = fetcher()
        both = await asyncio.gather(fetches.fetch(repository.url), fetches.fetch(repository.url))
        assert [*both, await fetches.fetch(repository.url)] == [b"PEM"] * 3
        assert len(repository.requests) == 1
        assert repository.requests[0].startswith(b"GET /carrier.pem HTTP/1.1")


async def test_a_kept_certificate_ends_with_its_time(tmp_path):
    async with Repository(tmp_path, web(), b"PEM") as repository:
        fetches = fetcher(keep=0.0)
        for _ in range(2):
            await fetches.fetch(repository.url)
        assert len(repository.requests) == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "cert.example.test"])
async def test_by_default_loopback_is_refused_before_a_connection(tmp_path, host):
    async with Repository(tmp_path, web(), b"PEM", host="localhost") as repository:
        url = f"https://{host}:{repository.port}/"
        with pytest.raises(TransportError, match="no public address"):
            await fetcher(allowed=()).fetch(url.replace(f":{repository.port}", ":8443"))
        with pytest.raises(TransportError, match=r"443|no public address"):
            await fetcher(allowed=()).fetch(url)
        assert repository.connections == 0


async def test_one_address_that_is_not_public_refuses_the_host():
    asked = []

    async def resolve(host: str):
        asked.append(host)
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(TransportError, match=r"10\.0\.0\.1, which is no public address"):
        await fetcher(allowed=(), resolve=resolve).fetch("https://cert.example.test/")
    assert asked == ["cert.example.test"]


async def test_the_address_is_resolved_once_and_connected_to_as_checked(tmp_path):
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def resolve(host: str):
        return answers.pop(0)

    async with Repository(tmp_path, web(), b"PEM", host="cert.example.test") as repository:
        assert await fetcher(resolve=resolve).fetch(repository.url) == b"PEM"
    assert len(answers) == 1


@pytest.mark.parametrize(
    "url",
    ["http://cert.example.test/", "ftp://cert.example.test/", "https://a:b@x/", "https://[::1/"],
)
async def test_only_https_is_fetched(url):
    with pytest.raises(ConfigurationError):
        await fetcher().fetch(url)


@pytest.mark.parametrize(
    ("status", "size", "why"),
    [
        ("302 Found", 3, "answered 302"),
        ("404 Not Found", 3, "answered 404"),
        ("200 OK", 20_000, "16384 bytes"),
    ],
)
async def test_no_redirect_is_followed_and_no_large_answer_taken(tmp_path, status, size, why):
    async with Repository(tmp_path, web(), b"x" * size) as repository:
        repository.status = status
        fetches = fetcher()
        for _ in range(2):  # the failure is kept, too
            with pytest.raises(TransportError, match=why):
                await fetches.fetch(repository.url)
        assert repository.connections == 1


async def test_a_silent_server_is_given_up(tmp_path):
    async with Repository(tmp_path, web(), b"PEM") as repository:
        repository.silent = True
        with pytest.raises(SoftphoneError, match=r"within 0\.2 s"):
            await fetcher(within=0.2).fetch(repository.url)


async def test_a_web_server_of_another_authority_is_refused(tmp_path):
    async with Repository(tmp_path, Authority("other"), b"PEM") as repository:
        with pytest.raises(SoftphoneError, match="certificate"):
            await fetcher().fetch(repository.url)
        assert repository.requests == []


async def test_fetches_are_rationed_and_their_answers_bounded(tmp_path):
    async with Repository(tmp_path, web(), b"PEM") as repository:
        fetches = fetcher(burst=3.0, rate=0.001, entries=2)
        for number in range(3):
            assert await fetches.fetch(f"{repository.url}?{number}") == b"PEM"
        with pytest.raises(TransportError, match="too many"):
            await fetches.fetch(f"{repository.url}?9")
        assert await fetches.fetch(f"{repository.url}?2") == b"PEM"
        assert len(fetches._kept) == 2
        assert repository.connections == 3
