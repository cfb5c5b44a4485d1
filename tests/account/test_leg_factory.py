"""What calls are made with: the server's fallback, and the node that is home."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from softphone.account.first_hop import FirstHop
from softphone.account.leg_factory import LegFactory
from softphone.account.signaling import SignalingMachine
from softphone.config import AccountConfig
from softphone.personas import DeviceIdentity, persona_named
from softphone.sans_io import Flow, Side, Transport
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.sip import Endpoint, EventHandlers, SipUri
from tests.support.clock import seeded_entropy
from tests.support.media_port import RecordingPort

FLOW = Flow(1, Transport.TLS, ("192.0.2.1", 40000), ("192.0.2.2", 5061))
HOP = FirstHop(FLOW, (), None)


def maker(agreed=(), home=None, policy=None, **config):
    made = AccountConfig(
        aor="sip:1002@cucm.test",
        registrar="sips:cucm.test",
        persona="cisco_phone",
        device=DeviceIdentity("CSFALICE"),
        **config,
    ).with_media(srtp=SrtpPolicy.OPTIONAL)
    endpoint = Endpoint(side=Side.CLIENT, entropy=seeded_entropy(1))
    standing = SimpleNamespace(
        supported_tags=lambda flow: frozenset(agreed),
        vouches=lambda flow: False,
        home_server=home,
    )
    return LegFactory(
        config=made,
        machine=SignalingMachine(endpoint, lambda flow, response: None),
        persona=persona_named("cisco_phone"),
        agreements=standing,
        media=RecordingPort(),
        entropy=seeded_entropy(2),
        change=lambda: nullcontext(0.0),
        handlers=EventHandlers(),
        credentials=None,
        policy=policy,
        fips=False,
    )


@pytest.mark.parametrize("agreed", [{"x-cisco-srtp-fallback"}, {"x-cisco-sis-9.0.0"}, set()])
async def test_clear_answers_are_taken_where_the_server_has_agreed(agreed):
    setup = maker(agreed).make_setup(FLOW)
    assert setup.media.fallback is ("x-cisco-srtp-fallback" in agreed)
    assert asyncio.get_running_loop().call_later == setup.call_later


async def test_a_call_may_demand_more_and_a_phone_s_policy_comes_first():
    assert maker().make_setup(FLOW, SrtpPolicy.REQUIRED).media.policy.srtp is SrtpPolicy.REQUIRED
    strict = SecurityPolicy.strict()
    assert maker(policy=strict).make_setup(FLOW).media.policy == strict
    lower = maker(policy=strict).make_setup(FLOW, SrtpPolicy.OFF).media.policy
    assert lower.srtp is SrtpPolicy.OFF


def test_our_own_domain_is_the_node_that_holds_the_binding():
    home = SipUri.parse("sip:cucm-2.test:5061;transport=tls")
    invitation = maker(home=home).make_invite_request(SipUri.parse("sip:600@cucm.test"), HOP)
    assert str(invitation.uri) == "sip:600@cucm-2.test"
    assert str(invitation.local.uri) == "sip:1002@cucm-2.test"
    elsewhere = maker(home=home).make_invite_request(SipUri.parse("sip:bob@other.test"), HOP)
    assert str(elsewhere.uri) == "sip:bob@other.test"


def test_without_a_list_nothing_is_changed():
    invitation = maker().make_invite_request(SipUri.parse("sip:600@cucm.test"), HOP)
    assert str(invitation.uri) == "sip:600@cucm.test"
    assert str(invitation.contact.uri) == "sip:1002@192.0.2.1:40000;transport=tls"
