"""How an account registers: with one registrar or along nodes, in its persona's style."""

from __future__ import annotations

import pytest

from softphone.account.registration import AccountRegistration, make_registration
from softphone.config import AccountConfig
from softphone.errors import TransportError
from softphone.personas import DeviceIdentity
from softphone.sans_io import Target, Transport
from softphone.sip import Registration
from softphone.sip.registration import NodeRegistration
from tests.support.account_context import account_context

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
    return account_context(AccountConfig(aor="sip:alice@cucm.test", **config))


async def relocated(context, registration, names):
    """Have the account look its servers up again."""
    context.machine.registration = registration
    await AccountRegistration(context, names).relocate()


def device(**config):
    return maker(persona="cisco_phone", device=DeviceIdentity("SEP001122AABBCC"), **config)


async def test_without_a_server_there_is_nothing():
    made = maker(listen="udp:127.0.0.1:0")
    assert await make_registration(made, Names(), ask=False) is None


async def test_one_registrar_is_a_plain_registration_and_is_found_again():
    made = maker(registrar="sips:pbx.test")
    registration = await make_registration(made, Names(), ask=False)
    assert isinstance(registration, Registration)
    await relocated(made, registration, Names())
    assert [target.host for target in registration.targets] == ["moved.pbx.test"]
    await relocated(made, registration, Names(away=["pbx.test"]))
    assert [target.host for target in registration.targets] == ["moved.pbx.test"]


async def test_a_list_is_gone_along_and_each_node_is_found_again():
    made = device(nodes=NODES)
    registration = await make_registration(made, Names(), ask=False)
    assert isinstance(registration, NodeRegistration)
    assert str(registration.home) == "sip:cucm-1.test:5061;transport=tls"
    await relocated(made, registration, Names())
    assert {node.targets[0].host for node in registration._nodes} == {
        f"moved.cucm-{number}.test" for number in (1, 2, 3)
    }


async def test_nodes_that_dns_does_not_know_are_left_out():
    made = device(nodes=NODES)
    registration = await make_registration(made, Names(away=["cucm-1.test"]), ask=False)
    assert [place.host for place in registration.lookup_uris] == ["cucm-2.test", "cucm-3.test"]
    away = [f"cucm-{number}.test" for number in (1, 2, 3)]
    with pytest.raises(TransportError, match=r"cucm-1\.test"):
        await make_registration(made, Names(away=away), ask=False)


async def test_the_persona_s_installation_counts_unless_one_is_given():
    for given in (None, "urn:uuid:00000000-0000-4000-8000-000000000001"):
        made = device(registrar="sips:pbx.test", instance=given)
        registration = await make_registration(made, Names(), ask=False)
        expected = given or "urn:uuid:00000000-0000-0000-0000-001122AABBCC"
        assert registration._config.instance_id == expected
        assert registration._config.first_headers[0][0] == "Reason"
