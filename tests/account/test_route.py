"""Where requests go first: the registration's flow, else the places of DNS in their order."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from softphone.account import AccountConfig
from softphone.account.route import Route
from softphone.errors import CertificateUntrusted, TransportError, TransportTimeout
from softphone.machine import Flow, Target, Transport
from softphone.sip import NameAddr, SipUri

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
        self.failures, self.tried = failures, []

    async def open(self, target):
        self.tried.append(target)
        error = self.failures.get(target.host.replace(".", "_"))
        if error is not None:
            raise error
        return FLOW


def route(names, network, registration=None, **config):
    values = {"aor": "sip:alice@example.test", "listen": "tls:127.0.0.1:0", **config}
    return Route(AccountConfig(**values), names, network.open, lambda: registration)


async def test_without_a_server_the_uri_itself_is_looked_up():
    names = Names()
    flow, route_set = await route(names, Network()).first_hop(URI)
    assert flow is FLOW
    assert route_set == ()
    assert names.asked == [("sip:bob@example.test", None)]


async def test_an_outbound_proxy_is_the_first_hop_and_the_route():
    names = Names()
    way = route(names, Network(), outbound_proxy="sips:edge.test")
    _, route_set = await way.first_hop(URI)
    assert names.asked[0][0] == "sips:edge.test"
    assert [str(entry) for entry in route_set] == ["<sips:edge.test;lr>"]


async def test_the_next_place_is_tried_when_one_cannot_be_reached():
    network = Network(**{"192_0_2_1": TransportTimeout("silent")})
    flow, _ = await route(Names(), network).first_hop(URI)
    assert flow is FLOW
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


async def test_a_registered_account_uses_its_flow_and_service_route():
    service = (NameAddr.parse("<sip:core.test;lr>"),)
    registration = SimpleNamespace(flow=FLOW, binding=SimpleNamespace(service_route=service))
    names = Names()
    assert await route(names, Network(), registration).first_hop(URI) == (FLOW, service)
    assert names.asked == []


async def test_a_registration_without_a_flow_sends_nothing_elsewhere():
    registration = SimpleNamespace(flow=None, binding=None)
    network = Network()
    with pytest.raises(TransportError, match="no connection"):
        await route(Names(), network, registration).first_hop(URI)
    assert network.tried == []


async def test_a_server_that_moved_is_found_again_and_a_silent_dns_changes_nothing():
    way = route(Names(), Network(), registrar="sips:pbx.test")
    assert await way.relocate() == (FIRST, SECOND)
    silent = route(Names(error=TransportTimeout("DNS")), Network(), registrar="sips:pbx.test")
    assert await silent.relocate() == ()
    assert await route(Names(), Network()).relocate() == ()
