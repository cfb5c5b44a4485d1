"""Who gets credentials: the domain's servers, those that its name vouches for, the confirmed."""

from __future__ import annotations

import pytest

from softphone.discovery.credential_rule import CredentialRule, UnconfirmedServer, names_domain
from softphone.discovery.records import ServiceRecord, ServiceTarget
from softphone.errors import CredentialsWithheld
from softphone.sans_io import PeerIdentity

UDS, EDGE = ServiceRecord.CISCO_UDS, ServiceRecord.COLLAB_EDGE
INSIDE = ServiceTarget("cucm.voice.test", 8443)
OUTSIDE = ServiceTarget("login.evil.test", 8443)


def identity(*names, verdict="chain"):
    return PeerIdentity("CN=x", names, "ab" * 32, "TLSv1.3", "x", verdict=verdict)


def rule(*confirmed):
    return CredentialRule(("example.test", "voice.test"), confirmed)


def test_a_server_in_one_of_the_domains_gets_them():
    assert rule().reason(INSIDE, identity("dns:cucm.voice.test"), UDS) == (
        "cucm.voice.test is in voice.test"
    )


@pytest.mark.parametrize(
    "name",
    [
        "dns:example.test",
        "dns:voice.test",
        "srv:_cisco-uds.example.test",
        "srv:_cisco-uds._tcp.voice.test",
    ],
)
def test_a_certificate_that_names_the_domain_ties_its_server_to_it(name):
    reason = rule().reason(OUTSIDE, identity("dns:login.evil.test", name), UDS)
    assert reason is not None
    assert "certificate" in reason


@pytest.mark.parametrize(
    "name",
    [
        "dns:*.example.test",
        "dns:cucm.example.test",
        "dns:example.test.evil.test",
        "cn:example.test",
        "uri:example.test",
        "xmpp:example.test",
        "srv:_collab-edge.example.test",
        "srv:_collab-edge._tls.example.test",
        "srv:_xmpp-client.example.test",
    ],
)
def test_other_names_tie_it_to_nothing(name):
    with pytest.raises(UnconfirmedServer, match=r"login\.evil\.test") as caught:
        rule().require(OUTSIDE, identity("dns:login.evil.test", name), UDS)
    assert isinstance(caught.value, CredentialsWithheld)
    assert name in caught.value.question.names


@pytest.mark.parametrize("verdict", ["pin", "trust-list", "tvs"])
def test_a_certificate_that_no_authority_vouches_for_may_claim_any_name(verdict):
    claims = identity("dns:example.test", verdict=verdict)
    assert rule().reason(OUTSIDE, claims, UDS) is None


def test_a_confirmed_server_gets_them_at_that_port_only():
    one = rule(OUTSIDE)
    one.require(OUTSIDE, identity(), UDS)
    with pytest.raises(UnconfirmedServer):
        one.require(ServiceTarget(OUTSIDE.host, 443), identity(), UDS)
    assert one.confirmed == (OUTSIDE,)


def test_the_edge_is_named_by_its_own_service():
    assert names_domain(identity("srv:_collab-edge._tls.example.test"), "example.test", EDGE)
    assert not names_domain(identity("srv:_cisco-uds.example.test"), "example.test", EDGE)


def test_a_question_shows_a_few_names_of_many():
    crowd = identity(*(f"dns:{one}.evil.test" for one in range(100)))
    with pytest.raises(UnconfirmedServer) as caught:
        rule().require(OUTSIDE, crowd, UDS)
    assert str(caught.value).count("dns:") == 8
