"""The flow rule: who may speak within what is bound to a flow."""

from __future__ import annotations

import pytest

from softphone.sans_io import PeerIdentity, Target, Transport
from softphone.sip.transport import flow_is_allowed, leads_to_same_peer, same_host
from tests.support.pair import new_flow


def flow(transport, *names, fingerprint="aa", verified=True):
    identity = PeerIdentity("", names, fingerprint, "TLSv1.3", "GCM") if verified else None
    return new_flow(transport, ("192.0.2.1", 5061), ("192.0.2.9", 5061), identity)


@pytest.mark.parametrize("bound", [Transport.UDP, Transport.TCP])
@pytest.mark.parametrize("other", list(Transport))
def test_in_clear_the_host_may_speak_and_those_that_are_named(bound, other):
    known = flow(bound, verified=False)
    assert flow_is_allowed(known, flow(other, verified=False))
    elsewhere = new_flow(other, ("192.0.2.1", 5061), ("192.0.2.10", 5061))
    assert not flow_is_allowed(known, elsewhere)
    assert not flow_is_allowed(known, elsewhere, hosts=("pbx.example.com", "192.0.2.11"))
    assert flow_is_allowed(known, elsewhere, hosts=("pbx.example.com", "192.0.2.10"))


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("192.0.2.10", "::ffff:192.0.2.10"),
        ("[2001:DB8:0::10]", "2001:db8::10"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(written, source):
    assert same_host(written, source)
    assert not same_host(written, "192.0.2.11")


def test_a_name_is_no_address():
    assert not same_host("pbx.example.com", "192.0.2.10")
    assert not same_host("192.0.2.10", "pbx.example.com")


@pytest.mark.parametrize("other", [Transport.UDP, Transport.TCP])
def test_what_is_bound_to_tls_hears_nothing_in_clear(other):
    assert not flow_is_allowed(flow(Transport.TLS, verified=False), flow(other, verified=False))
    target = Target(Transport.TLS, "pbx.example.com", 5061)
    assert not flow_is_allowed(target, flow(other, verified=False))
    assert flow_is_allowed(target, flow(Transport.TLS, "dns:pbx.example.com"))


def test_the_same_flow_or_certificate_or_name_may_speak():
    bound = flow(Transport.TLS, "dns:Example.com", "cn:server")
    assert flow_is_allowed(bound, bound)
    assert flow_is_allowed(bound, flow(Transport.TLS))
    assert flow_is_allowed(bound, flow(Transport.TLS, "dns:example.com", fingerprint="bb"))
    assert not flow_is_allowed(bound, flow(Transport.TLS, "dns:example.org", fingerprint="bb"))
    assert not flow_is_allowed(bound, flow(Transport.TLS, verified=False))


def test_a_common_name_counts_only_where_it_stands_alone():
    named = flow(Transport.TLS, "uri:sip:a@example.com", "cn:phone")
    assert not flow_is_allowed(named, flow(Transport.TLS, "cn:phone", fingerprint="bb"))
    bare = flow(Transport.TLS, "cn:phone")
    assert flow_is_allowed(bare, flow(Transport.TLS, "cn:phone", fingerprint="bb"))


def test_a_certificate_with_a_user_speaks_for_that_user_and_not_for_the_host():
    alice = flow(Transport.TLS, "uri:sip:alice@192.0.2.9", "ip:192.0.2.9")
    again = flow(
        Transport.TLS, "uri:sip:alice@192.0.2.9", "ip:192.0.2.9", "cn:new", fingerprint="bb"
    )
    mallory = flow(Transport.TLS, "uri:sip:mallory@192.0.2.9", "ip:192.0.2.9", fingerprint="cc")
    other_case = flow(Transport.TLS, "uri:sip:Alice@192.0.2.9", "ip:192.0.2.9", fingerprint="dd")
    host = flow(Transport.TLS, "ip:192.0.2.9", fingerprint="ee")
    for rule in (flow_is_allowed, leads_to_same_peer):
        assert rule(alice, again)
        for stranger in (mallory, other_case, host):
            assert not rule(alice, stranger)
            assert not rule(stranger, alice)


@pytest.mark.parametrize("transport", list(Transport))
def test_who_has_proved_nothing_is_known_by_the_address(transport):
    bound = flow(transport, verified=False)
    elsewhere = new_flow(transport, ("192.0.2.1", 5061), ("192.0.2.10", 5061))
    target = Target(transport, "192.0.2.9", 5060)
    for known in (bound, target):
        assert leads_to_same_peer(known, flow(transport, verified=False))
        assert not leads_to_same_peer(known, elsewhere)


def test_an_address_proves_nothing_where_a_certificate_was_verified():
    bound = flow(Transport.TLS, "dns:pbx.example.com")
    assert leads_to_same_peer(bound, bound)
    assert leads_to_same_peer(bound, flow(Transport.TLS, "dns:pbx.example.com", fingerprint="bb"))
    for transport in Transport:
        assert not leads_to_same_peer(bound, flow(transport, verified=False))
    assert not leads_to_same_peer(bound, flow(Transport.TLS, "dns:x.test", fingerprint="bb"))
