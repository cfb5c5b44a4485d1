"""Where requests go first: the registration's flow, else the places of DNS in their order."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from softphone.account.first_hop import FirstHopLocator
from softphone.config import AccountConfig
from softphone.errors import (
    CertificateUnknown,
    CertificateUntrusted,
    TransportError,
    TransportTimeout,
)
from softphone.sans_io import Flow, PeerIdentity, Target, Transport
from softphone.sip import NameAddr, SipUri
from tests.support.account_context import account_context, idle_driver

FIRST = Target(Transport.TLS, "192.0.2.1", 5061)
SECOND = Target(Transport.TLS, "192.0.2.2", 5061)
FLOW = Flow(1, Transport.TLS, ("192.0.2.9", 5), ("192.0.2.2", 5061))
URI = SipUri.parse("sip:bob@example.test")


class Names:
    def __init__(self, targets=(FIRST, SECOND), error=None):
        self.targets, self.error, self.asked = targets, error, []

    async def locate(self, uri, *, policy=None):
        self.asked.append((str(uri), policy.server_name))
        if self.error is not None:
            raise self.error
        return self.targets


class Network:
    """Opens flows, or fails as told for each target."""

    def __init__(self, **failures):
        self.failures, self.tried, self.looked = failures, [], []
        self.opened = {}

    def target_of(self, flow):
        return self.opened.get(flow)

    async def open_flow(self, target):
        self.tried.append(target)
        error = self.failures.get(target.host.replace(".", "_"))
        if error is not None:
            raise error
        return FLOW

    async def probe_target(self, target):
        self.looked.append(target)
        error = self.failures.get(target.host.replace(".", "_"))
        if error is not None:
            raise error


def route(names, network, registration=None, **config):
    values = {"aor": "sip:alice@example.test", "listen": "tls:127.0.0.1:0", **config}
    driver = idle_driver(open_flow=network.open_flow, probe_target=network.probe_target)
    context = account_context(
        AccountConfig(**values), driver=driver, registration=registration, resolver=names
    )
    context.machine.endpoint.target_of = network.target_of
    return FirstHopLocator(context)


async def test_without_a_server_the_uri_itself_is_looked_up():
    names = Names()
    hop = await route(names, Network()).first_hop(URI)
    assert hop.flow is FLOW
    assert hop.route_set == ()
    assert hop.failover.targets == (FIRST, SECOND)
    assert names.asked == [("sip:bob@example.test", None)]


async def test_an_outbound_proxy_is_the_first_hop_and_the_route():
    names = Names()
    way = route(names, Network(), outbound_proxy="sips:edge.test")
    route_set = (await way.first_hop(URI)).route_set
    assert names.asked[0][0] == "sips:edge.test"
    assert [str(entry) for entry in route_set] == ["<sips:edge.test;lr>"]


async def test_the_next_place_is_tried_when_one_cannot_be_reached():
    network = Network(**{"192_0_2_1": TransportTimeout("silent")})
    assert (await route(Names(), network).first_hop(URI)).flow is FLOW
    assert network.tried == [FIRST, SECOND]


async def test_the_first_cause_is_raised_when_no_place_can_be_reached():
    network = Network(**{"192_0_2_1": TransportTimeout("first"), "192_0_2_2": TransportError("2")})
    with pytest.raises(TransportTimeout, match="first"):
        await route(Names(), network).first_hop(URI)


async def test_a_refused_certificate_ends_the_trying():
    network = Network(**{"192_0_2_1": CertificateUntrusted("who?")})
    with pytest.raises(CertificateUntrusted):
        await route(Names(), network).first_hop(URI)
    assert network.tried == [FIRST]


def registered(flow=FLOW, targets=(FIRST,), service=()):
    binding = SimpleNamespace(service_route=service)
    return SimpleNamespace(flow=flow, binding=binding, target=FIRST, targets=targets)


async def test_a_registered_account_uses_its_flow_and_service_route():
    service = (NameAddr.parse("<sip:core.test;lr>"),)
    names = Names()
    hop = await route(names, Network(), registered(service=service)).first_hop(URI)
    assert (hop.flow, hop.route_set) == (FLOW, service)
    assert names.asked == []


async def test_a_call_follows_its_server_only_to_places_that_are_as_safe():
    clear = Target(Transport.UDP, "192.0.2.3", 5060)
    way = route(Names(), Network(), registered(targets=(FIRST, clear, SECOND)))
    assert (await way.first_hop(URI)).failover.targets == (FIRST, SECOND)


async def test_a_server_that_asked_to_be_left_alone_is_left_alone_where_there_is_another():
    network = Network()
    registration = registered(targets=(FIRST, SECOND))
    way = route(Names(), network, registration)
    (await way.first_hop(URI)).failover.mark_failed(FIRST, now=0.0, retry_after=60.0)
    await way.first_hop(URI)
    assert network.tried == [SECOND]
    network.failures["192_0_2_2"] = TransportError("down")
    assert (await way.first_hop(URI)).flow is registration.flow
    way._context.driver.now = 61.0
    network.tried.clear()
    await way.first_hop(URI)
    assert network.tried == []


async def test_a_sole_server_that_asked_to_be_left_alone_is_asked_all_the_same():
    way = route(Names(), Network(), registered())
    (await way.first_hop(URI)).failover.mark_failed(FIRST, now=0.0, retry_after=60.0)
    assert (await way.first_hop(URI)).flow is FLOW


async def test_without_a_registration_it_comes_last():
    network = Network()
    way = route(Names(), network)
    (await way.first_hop(URI)).failover.mark_failed(FIRST, now=0.0, retry_after=60.0)
    network.tried.clear()
    await way.first_hop(URI)
    assert network.tried == [SECOND]


async def test_a_registration_without_a_flow_sends_nothing_elsewhere():
    registration = SimpleNamespace(flow=None, binding=None)
    network = Network()
    with pytest.raises(TransportError, match="no connection"):
        await route(Names(), network, registration).first_hop(URI)
    assert network.tried == []


async def test_a_server_that_moved_is_found_again_and_a_silent_dns_changes_nothing():
    way = route(Names(), Network(), registrar="sips:pbx.test")
    assert await way.locate_again(way._config.server_uri) == (FIRST, SECOND)
    silent = route(Names(error=TransportTimeout("DNS")), Network(), registrar="sips:pbx.test")
    assert await silent.locate_again(way._config.server_uri) == ()
    assert await route(Names(), Network()).locate_again(None) == ()


def udp(host):
    return Flow(9, Transport.UDP, ("192.0.2.9", 5060), (host, 5060))


def test_over_udp_new_requests_come_from_our_servers_and_from_whom_we_named():
    way = route(
        Names(),
        Network(),
        registered(targets=(FIRST, SECOND)),
        listen=None,
        registrar="sip:pbx.test;transport=udp",
        accept_from=("198.51.100.7", "203.0.113.0/24", "2001:db8::/32"),
    )
    way.registered_hosts.add("192.0.2.50")
    ours = ("192.0.2.1", "192.0.2.2", "192.0.2.50")
    named = ("198.51.100.7", "203.0.113.200", "2001:db8::1%eth0")
    assert not any(way.is_unknown_source(udp(host)) for host in ours + named)
    assert all(
        way.is_unknown_source(udp(host)) for host in ("198.51.100.8", "192.0.2.3", "2001:db9::1")
    )


def test_whoever_listens_or_speaks_over_a_connection_of_ours_is_not_strange():
    far = Flow(9, Transport.TLS, ("192.0.2.9", 5061), ("198.51.100.9", 5061))
    assert not route(
        Names(), Network(), registered(), registrar="sips:a.test", listen=None
    ).is_unknown_source(far)
    assert not route(Names(), Network(), registered()).is_unknown_source(udp("198.51.100.9"))
    assert not route(
        Names(), Network(), None, registrar="sip:a.test", listen=None
    ).is_unknown_source(udp("198.51.100.9"))


async def test_where_somebody_is_asked_the_question_is_settled_before_anything_is_sent():
    network = Network()
    uri = SipUri.parse("sips:example.test")
    assert await route(Names(), network).locate_and_verify(uri, ask=False) == (FIRST, SECOND)
    assert network.looked == []
    assert await route(Names(), network).locate_and_verify(uri, ask=True) == (FIRST, SECOND)
    assert (network.looked, network.tried) == ([FIRST], [])


async def test_a_place_that_is_away_is_passed_over_and_a_refusal_is_final():
    uri = SipUri.parse("sips:example.test")
    network = Network(**{FIRST.host.replace(".", "_"): TransportError("away")})
    await route(Names(), network).locate_and_verify(uri, ask=True)
    assert network.looked == [FIRST, SECOND]
    network = Network(**{FIRST.host.replace(".", "_"): CertificateUnknown("not accepted")})
    with pytest.raises(CertificateUnknown):
        await route(Names(), network).locate_and_verify(uri, ask=True)


async def test_only_what_the_servers_of_the_configuration_lead_to_is_an_own_server():
    """Credentials go there and nowhere else, whichever certificate of ours is shown."""
    way = route(Names(), Network(), registrar="sips:PBX.test", listen=None)
    await way.locate(SipUri.parse("sips:elsewhere.test"))
    assert way.own_server(FIRST) is None
    await way.locate(SipUri.parse("sips:PBX.test"))
    assert way.own_server(FIRST) == "pbx.test"
    assert way.own_server(replace(FIRST, credential="renewed")) == "pbx.test"
    assert way.own_server(replace(FIRST, transport=Transport.UDP)) is None
    direct = route(Names(), Network())
    await direct.first_hop(URI)
    assert direct.own_server(FIRST) is None


async def test_own_servers_are_remembered_up_to_a_bound():
    names = Names()
    way = route(names, Network(), registrar="sips:pbx.test", listen=None)
    for number in range(600):
        names.targets = (Target(Transport.TLS, f"192.0.{number // 250}.{number % 250}", 5061),)
        await way.locate(SipUri.parse("sips:pbx.test"))
    assert way.own_server(names.targets[0]) == "pbx.test"
    assert len(way._own_targets) == 256


def identified(*names, fingerprint="aa"):
    return PeerIdentity("", names, fingerprint, "TLSv1.3", "GCM")


def at(host, transport=Transport.TLS, identity=None, number=7):
    return Flow(number, transport, ("192.0.2.9", 5), (host, 5061), identity)


async def test_a_server_over_tls_is_known_by_its_certificate():
    pbx = identified("dns:pbx.example.test")
    bound = at("192.0.2.1", identity=pbx)
    registration = registered(targets=(FIRST, SECOND), flow=bound)
    network = Network()
    sub = identified("dns:sub.example.test", fingerprint="bb")
    standby = at("192.0.2.2", identity=sub, number=6)
    network.opened[standby] = SECOND
    way = route(Names(), network, registration, registrar="sips:example.test", listen=None)
    await way.locate(SipUri.parse("sips:example.test"))
    way.registered_hosts.add("192.0.2.1")
    assert way.is_own_server(bound)
    assert way.is_own_server(standby)
    other = identified("dns:pbx.example.test", fingerprint="cc")
    assert way.is_own_server(at("192.0.2.70", identity=other, number=8))
    for own in (bound, standby, at("192.0.2.70", identity=other, number=8)):
        assert way.is_verified_server(own)
    stranger = identified("dns:x", fingerprint="dd")
    assert not way.is_own_server(at("192.0.2.1", identity=stranger, number=10))
    assert not way.is_verified_server(at("192.0.2.1", identity=stranger, number=10))
    for transport in Transport:
        assert not way.is_own_server(at("192.0.2.1", transport, number=9))


async def test_a_server_in_clear_is_known_by_its_address():
    first = replace(FIRST, transport=Transport.UDP)
    registration = registered(targets=(first,), flow=at("192.0.2.1", Transport.UDP, number=3))
    way = route(
        Names((first,)),
        Network(),
        registration,
        registrar="sip:192.0.2.1",
        listen=None,
        accept_from=("192.0.2.64/28",),
    )
    await way.locate(SipUri.parse("sip:192.0.2.1"))
    way.registered_hosts.add("192.0.2.5")
    for host in ("192.0.2.1", "192.0.2.5", "192.0.2.70"):
        assert way.is_own_server(at(host, Transport.UDP))
        assert not way.is_verified_server(at(host, Transport.UDP))
    assert not way.is_verified_server(None)
    assert not way.is_own_server(at("192.0.2.80", Transport.UDP))


async def test_without_a_server_nobody_is_one():
    network = Network()
    network.opened[FLOW] = FIRST
    way = route(Names(), network)
    await way.first_hop(URI)
    assert not way.is_own_server(FLOW)


async def test_an_outbound_proxy_is_a_server_without_a_registration():
    network = Network()
    way = route(Names(), network, outbound_proxy="sips:example.test", listen=None)
    await way.first_hop(URI)
    assert not way.is_own_server(FLOW)
    network.opened[FLOW] = FIRST
    assert way.is_own_server(FLOW)


async def test_a_server_that_was_reached_over_tls_is_not_called_in_clear():
    clear = replace(FIRST, transport=Transport.UDP)
    names, network = Names((SECOND, clear)), Network()
    way = route(names, network, outbound_proxy="sip:example.test", listen=None)
    await way.first_hop(URI)
    network.failures["192_0_2_2"] = TransportTimeout("cut off")
    with pytest.raises(TransportTimeout):
        await way.first_hop(URI)
    assert network.tried == [SECOND, SECOND]
    names.targets = (clear,)
    with pytest.raises(TransportError, match="over TLS"):
        await way.first_hop(URI)
    assert network.tried == [SECOND, SECOND]


async def test_a_direct_call_is_over_what_its_own_uri_names():
    clear = replace(FIRST, transport=Transport.UDP)
    names, network = Names((SECOND,)), Network()
    way = route(names, network)
    await way.first_hop(URI)
    names.targets = (clear,)
    await way.first_hop(URI)
    assert network.tried == [SECOND, clear]


async def test_a_listed_certificate_may_say_who_far_ends_are_and_a_listed_address_may_not():
    way = route(Names(), Network(), accept_from=("192.0.2.0/24", "certificate:sbc.test"))
    sbc = PeerIdentity("CN=sbc", ("dns:sbc.test",), "00", "TLSv1.3", "AES")
    listed = Flow(9, Transport.TLS, ("192.0.2.9", 5061), ("198.51.100.9", 5061), sbc)
    assert way.is_verified_server(listed)
    assert way.is_own_server(listed)
    assert not way.is_verified_server(replace(FLOW, id=10))
    other = replace(sbc, names=("dns:other.test",))
    assert not way.is_verified_server(replace(listed, id=11, identity=other))
