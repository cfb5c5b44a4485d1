"""How an account registers: with one registrar or along nodes, in its persona's style."""

from __future__ import annotations

import pytest

from softphone.account.registration_factory import RegistrationFactory
from softphone.config import AccountConfig
from softphone.errors import TransportError
from softphone.personas import DeviceIdentity, persona_named
from softphone.sans_io import Side, Target, Transport
from softphone.sip import Endpoint, Registration
from softphone.sip.registration import NodeRegistration
from tests.support.clock import seeded_entropy

NODES = ("sips:cucm-1.test:5061", "sips:cucm-2.test:5061", "sips:cucm-3.test:5061")


class Names:
    """A route that knows all but the hosts in `away`."""

    def __init__(self, away=()):
        self.away = set(away)

    async def locate_and_verify(self, uri, *, ask):
        if uri.host in self.away:
            raise TransportError(f"{uri.host} is unknown")
        return (Target(Transport.TLS, uri.host, uri.port or 5061),)

    async def locate_again(self, uri):
        return () if uri.host in self.away else (Target(Transport.TLS, "moved." + uri.host, 5061),)


def maker(**config):
    made = AccountConfig(aor="sip:alice@cucm.test", **config)
    endpoint = Endpoint(side=Side.CLIENT, entropy=seeded_entropy(1))
    return endpoint, RegistrationFactory(
        config=made,
        persona=persona_named(made.persona),
        endpoint=endpoint,
        entropy=seeded_entropy(2),
        credentials=None,
        idle=lambda: True,
    )


def device(**config):
    return maker(persona="cisco_phone", device=DeviceIdentity("SEP001122AABBCC"), **config)


async def test_without_a_server_there_is_nothing():
    _, made = maker(listen="udp:127.0.0.1:0")
    assert await made.make_registration(Names(), ask=False) is None


async def test_one_registrar_is_a_plain_registration_and_is_found_again():
    _, made = maker(registrar="sips:pbx.test")
    registration = await made.make_registration(Names(), ask=False)
    assert isinstance(registration, Registration)
    (await made.locate_again(registration, Names()))(0.0)
    assert [target.host for target in registration.targets] == ["moved.pbx.test"]
    (await made.locate_again(registration, Names(away=["pbx.test"])))(0.0)
    assert [target.host for target in registration.targets] == ["moved.pbx.test"]


async def test_a_list_is_gone_along_and_each_node_is_found_again():
    _, made = device(nodes=NODES)
    registration = await made.make_registration(Names(), ask=False)
    assert isinstance(registration, NodeRegistration)
    assert str(registration.home) == "sip:cucm-1.test:5061;transport=tls"
    (await made.locate_again(registration, Names()))(0.0)
    assert {node.targets[0].host for node in registration._nodes} == {
        f"moved.cucm-{number}.test" for number in (1, 2, 3)
    }


async def test_nodes_that_dns_does_not_know_are_left_out():
    _, made = device(nodes=NODES)
    registration = await made.make_registration(Names(away=["cucm-1.test"]), ask=False)
    assert [place.host for place in registration.lookup_uris] == ["cucm-2.test", "cucm-3.test"]
    away = [f"cucm-{number}.test" for number in (1, 2, 3)]
    with pytest.raises(TransportError, match=r"cucm-1\.test"):
        await made.make_registration(Names(away=away), ask=False)


async def test_the_persona_s_installation_counts_unless_one_is_given():
    for given in (None, "urn:uuid:00000000-0000-4000-8000-000000000001"):
        _, made = device(registrar="sips:pbx.test", instance=given)
        registration = await made.make_registration(Names(), ask=False)
        expected = given or "urn:uuid:00000000-0000-0000-0000-001122AABBCC"
        assert registration._config.instance_id == expected
        assert registration._config.first_headers[0][0] == "Reason"
