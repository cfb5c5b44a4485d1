from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.trust.csr import KeyKind, SubjectAltNames, TlsPurpose
from softphone.trust.csr.profile import PROFILES, CsrService, names_for, profile_named

PUBLIC, MULTI, PRIVATE = PROFILES
TOMCAT, XMPP, CALL_MANAGER, CLIENT = CsrService
NODES = ("im1.example.com", "im2.example.com")
DOMAIN = "example.com"


def test_profiles_are_found_by_name():
    assert [profile.name for profile in PROFILES] == ["public", "public-multi", "private"]
    assert profile_named("public-multi") is MULTI
    with pytest.raises(ConfigurationError, match="known are public, public-multi, private"):
        profile_named("friendly")


def test_public_authorities_take_no_small_and_no_rare_keys():
    assert KeyKind.EC_P521 not in PUBLIC.keys
    assert set(PRIVATE.keys) == set(KeyKind)


@pytest.mark.parametrize(
    ("service", "profile", "expected"),
    [
        (TOMCAT, PRIVATE, SubjectAltNames(dns=NODES)),
        (TOMCAT, MULTI, SubjectAltNames(dns=NODES)),
        (XMPP, MULTI, SubjectAltNames(dns=(*NODES, DOMAIN))),
        (
            XMPP,
            PRIVATE,
            SubjectAltNames(
                dns=(*NODES, DOMAIN),
                xmpp=(DOMAIN,),
                srv=("_xmpp-client.example.com", "_xmpp-server.example.com"),
            ),
        ),
        (CALL_MANAGER, MULTI, SubjectAltNames(dns=NODES)),
        (CALL_MANAGER, PRIVATE, SubjectAltNames(dns=NODES, uri=("sip:example.com",))),
    ],
)
def test_a_service_asks_for_the_names_that_its_clients_look_at(service, profile, expected):
    assert names_for(service, NODES, profile, domain=DOMAIN) == expected
    assert service.purposes == TlsPurpose.SERVER | TlsPurpose.CLIENT


def test_a_client_asks_for_its_uri():
    names = names_for(CLIENT, ("sip:alice@example.com",), PRIVATE)
    assert names == SubjectAltNames(uri=("sip:alice@example.com",))
    assert CLIENT.purposes == TlsPurpose.CLIENT


def test_xmpp_needs_the_domain_of_its_users():
    with pytest.raises(ConfigurationError, match="domain of its users"):
        names_for(XMPP, NODES, PRIVATE)
    assert names_for(CALL_MANAGER, NODES, PRIVATE) == SubjectAltNames(dns=NODES)
