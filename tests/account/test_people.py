"""Directories with what a phone has, and the number that a call's peer is known by."""

from __future__ import annotations

import pytest

from softphone.account.connection import NO_BELIEF, Belief
from softphone.account.people import number_of, open_contacts
from softphone.contacts import UdsConfig
from softphone.errors import ConfigurationError
from softphone.net.http import RevocationFetcher
from softphone.sip import NameAddr, parse_uri
from softphone.trust import TrustStore
from tests.support.certificates import authority


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:1001@x.test", "1001"),
        ("sips:+49301234@x.test;user=phone", "+49301234"),
        ("tel:+49-30-1234;phone-context=x", "+49-30-1234"),
        ("sip:x.test", None),
        ("im:anna@x.test", None),
    ],
)
def test_a_peer_is_known_by_its_number(uri, number):
    assert number_of(NameAddr(None, parse_uri(uri))) == number


def test_where_a_directory_names_no_authority_the_phone_s_count(tmp_path):
    trust = TrustStore.of(authority().write(tmp_path, "ca"))
    belief = Belief(trust, None, RevocationFetcher())
    contacts = open_contacts([UdsConfig("one", "uds.x.test")], belief, fips=False)
    assert contacts.directories[0]._config.tls.store is trust


def test_no_directory_is_an_error():
    with pytest.raises(ConfigurationError, match="no directory"):
        open_contacts([], Belief(None, None, RevocationFetcher()), fips=False)
    with pytest.raises(ConfigurationError, match="fetches"):
        open_contacts([UdsConfig("one", "uds.x.test")], NO_BELIEF, fips=False)
