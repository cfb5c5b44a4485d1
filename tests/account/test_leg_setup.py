"""What calls are made with: the server's fallback, and the node that is home."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from softphone.account.first_hop import FirstHop
from softphone.account.leg_setup import make_invite_request, make_leg_setup
from softphone.config import AccountConfig
from softphone.personas import DeviceIdentity
from softphone.sans_io import Flow, Transport
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.sip import Headers, NameAddr, Response, SipUri
from softphone.sip.registration import NodeRegistration
from softphone.sip.registration.binding import Binding
from tests.support.account_context import account_context

FLOW = Flow(1, Transport.TLS, ("192.0.2.1", 40000), ("192.0.2.2", 5061))
HOP = FirstHop(FLOW, (), None)


class AtHome(NodeRegistration):
    """Along a list of nodes, of which the one at `home` is in use."""

    binding, home = None, None

    def __init__(self, home):
        self.home = home


def context_of(agreed=(), home=None, policy=None, **config):
    made = AccountConfig(
        aor="sip:1002@cucm.test",
        registrar="sips:cucm.test",
        persona="cisco_phone",
        device=DeviceIdentity("CSFALICE"),
        **config,
    ).with_media(srtp=SrtpPolicy.OPTIONAL)
    context = account_context(made, policy=policy)
    if agreed:
        granted = Response(200, "OK", Headers([("Supported", ", ".join(agreed))]))
        context.machine.agreements.record_grant(FLOW, granted)
    if home is not None:
        context.machine.registration = AtHome(home)
    return context


@pytest.mark.parametrize("agreed", [{"x-cisco-srtp-fallback"}, {"x-cisco-sis-9.0.0"}, set()])
async def test_clear_answers_are_taken_where_the_server_has_agreed(agreed):
    setup = make_leg_setup(context_of(agreed), FLOW)
    assert setup.media.fallback is ("x-cisco-srtp-fallback" in agreed)
    assert asyncio.get_running_loop().call_later == setup.call_later


async def test_a_call_may_demand_more_and_a_phone_s_policy_comes_first():
    assert (
        make_leg_setup(context_of(), FLOW, SrtpPolicy.REQUIRED).media.policy.srtp
        is SrtpPolicy.REQUIRED
    )
    strict = SecurityPolicy.strict()
    assert make_leg_setup(context_of(policy=strict), FLOW).media.policy == strict
    lower = make_leg_setup(context_of(policy=strict), FLOW, SrtpPolicy.OFF).media.policy
    assert lower.srtp is SrtpPolicy.OFF


def test_our_own_domain_is_the_node_that_holds_the_binding():
    home = SipUri.parse("sip:cucm-2.test:5061;transport=tls")
    invitation = make_invite_request(context_of(home=home), SipUri.parse("sip:600@cucm.test"), HOP)
    assert str(invitation.uri) == "sip:600@cucm-2.test"
    assert str(invitation.local.uri) == "sip:1002@cucm-2.test"
    elsewhere = make_invite_request(context_of(home=home), SipUri.parse("sip:bob@other.test"), HOP)
    assert str(elsewhere.uri) == "sip:bob@other.test"


@pytest.mark.parametrize("registered", [None, "tls", "ob", "gruu"])
def test_the_contact_of_a_call_to_a_sips_uri_is_a_sips_uri(registered):
    """RFC 3261 section 8.1.1.8: Asterisk answers one that is not with 480 (SIPS Required)."""
    context = context_of()
    if registered is not None:
        bound = NameAddr(None, SipUri.parse("sip:1002@192.0.2.1:40000;transport=tls"), ())
        gruu = SipUri.parse("sip:1002@cucm.test;gr=desk") if registered == "gruu" else None
        binding = Binding(bound, 60.0, 60.0, public_gruu=gruu, outbound=registered == "ob")
        context.machine.registration = SimpleNamespace(binding=binding)
    invitation = make_invite_request(context, SipUri.parse("sips:600@other.test"), HOP)
    assert str(invitation.contact.uri) == {
        "ob": "sips:1002@192.0.2.1:40000;ob",
        "gruu": "sips:1002@cucm.test;gr=desk",
    }.get(registered, "sips:1002@192.0.2.1:40000")


def test_without_a_list_nothing_is_changed():
    invitation = make_invite_request(context_of(), SipUri.parse("sip:600@cucm.test"), HOP)
    assert str(invitation.uri) == "sip:600@cucm.test"
    assert str(invitation.contact.uri) == "sip:1002@192.0.2.1:40000;transport=tls"
