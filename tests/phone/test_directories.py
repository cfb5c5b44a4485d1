"""Directories with what a phone has, and what a call's peer is known by."""

from __future__ import annotations

import asyncio

import pytest

from softphone.account import TrustContext
from softphone.account.stack_settings import NO_TRUST_CONTEXT
from softphone.contacts import Contact, Contacts, UdsConfig
from softphone.errors import ConfigurationError
from softphone.net import DnsResolver
from softphone.net.http import RevocationFetcher
from softphone.phone.directories import directory_key, look_up_name, open_contacts
from softphone.sip import NameAddr, parse_uri
from softphone.trust import TrustStore
from softphone.trust.fips import random_bytes
from tests.support.certificates import authority

RESOLVER = DnsResolver(entropy=random_bytes)


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("sip:1001@x.test", "1001"),
        ("sips:+49301234@x.test;user=phone", "+49301234"),
        ("tel:+49-30-1234;phone-context=x", "+49-30-1234"),
        ("sip:anna@x.test;transport=tls", "anna@x.test"),
        ("sip:x.test", None),
        ("im:anna@x.test", None),
    ],
)
def test_a_peer_is_known_by_its_number_or_by_its_address(uri, key):
    assert directory_key(NameAddr(None, parse_uri(uri))) == key


def test_where_a_directory_names_no_authority_the_phone_s_count(tmp_path):
    trust = TrustStore.from_sources(authority().write(tmp_path, "ca"))
    belief = TrustContext(trust, None, RevocationFetcher())
    contacts = open_contacts([UdsConfig("one", "uds.x.test")], belief, RESOLVER, fips=False)
    assert contacts.directories[0]._config.tls.store is trust


def test_no_directory_is_an_error():
    with pytest.raises(ConfigurationError, match="no directory"):
        open_contacts([], TrustContext(None, None, RevocationFetcher()), RESOLVER, fips=False)
    with pytest.raises(ConfigurationError, match="fetches"):
        open_contacts([UdsConfig("one", "uds.x.test")], NO_TRUST_CONTEXT, RESOLVER, fips=False)


async def test_the_name_of_a_person_is_told_by_the_address():
    anna = Contact("Anna", uri="sip:Anna@x.test")

    class Known:
        name = "one"

        async def by_address(self, address):
            return anna if anna.has_address(address) else None

        async def close(self):
            """Nothing is open."""

    told = []
    async with Contacts((Known(),)) as contacts:
        for uri in ("sips:anna@x.test", "sip:bert@x.test", "sip:anna@127.0.0.1"):
            look_up_name(contacts, NameAddr(None, parse_uri(uri)), told.append)
        await asyncio.wait(tuple(contacts._looking.values()))
    assert told == [anna]
