"""Opportunistic SRTP (RFC 8643): RTP/AVP with keys in one INVITE, where SRTP is optional."""

from __future__ import annotations

import random

import pytest

from softphone.call.leg import MediaProposal, MediaSetup, Negotiation
from softphone.call.leg.negotiation import DescriptionRefusal
from softphone.events import CallState
from softphone.sans_io import Transport
from softphone.security import (
    DEFAULT_SUITES,
    SecurityLevel,
    SecurityPolicy,
    ShortfallCode,
)
from softphone.sip import Body
from tests.support.media_port import RecordingPort
from tests.support.stage import Stage

OPTIONAL = SecurityPolicy.compatible()
OFF = SecurityPolicy.clear()


def party(policy=OPTIONAL, seed=1, *, opportunistic=True, fallback=True):
    return Negotiation(
        MediaSetup(
            RecordingPort(),
            policy,
            random.Random(seed).randbytes,
            "127.0.0.1",
            fallback=fallback,
            opportunistic=opportunistic,
        )
    )


def agree(caller, callee, offer=None):
    answer = callee.receive_offer(offer or caller.create_offer())
    assert isinstance(answer, MediaProposal)
    result = caller.receive_answer(answer.body)
    assert isinstance(result, MediaProposal)
    callee.commit(0)
    caller.commit(0)
    return result.media[0]


def edited(body, old, new):
    return Body(body.media_type, body.data.replace(old, new))


def test_the_offer_is_avp_with_a_key_for_every_suite():
    text = party().create_offer().data.decode()
    assert "RTP/AVP 0 8" in text
    assert text.count("a=crypto:") == len(DEFAULT_SUITES)


@pytest.mark.parametrize("policy", [SecurityPolicy.strict(), OFF])
def test_where_srtp_is_required_or_off_nothing_changes(policy):
    offers = [party(policy, opportunistic=each).create_offer() for each in (True, False)]
    assert offers[0] == offers[1]


def test_who_knows_it_answers_with_a_key_and_a_change_keeps_profile_and_key():
    caller, callee = party(), party(SecurityPolicy.strict(), seed=2)
    media = agree(caller, callee)
    assert (media.profile, media.suite) == ("RTP/AVP", DEFAULT_SUITES[0])
    first = caller.setup.backend.specs[-1]
    caller.held = True
    offer = caller.create_offer()
    assert b"RTP/AVP 0" in offer.data
    assert offer.data.count(b"a=crypto:") == 1
    assert agree(caller, callee, offer).suite is DEFAULT_SUITES[0]
    assert caller.setup.backend.specs[-1].send_key.key is first.send_key.key


@pytest.mark.parametrize("fallback", [True, False])
def test_who_does_not_know_it_answers_in_clear_which_a_change_keeps(fallback):
    """No agreement on a fallback is needed: the profile was RTP/AVP."""
    caller, callee = party(fallback=fallback), party(OFF, seed=2)
    assert agree(caller, callee).suite is None
    assert caller.setup.backend.specs[-1].send_key is None
    caller.held = True
    assert b"a=crypto" not in caller.create_offer().data


def test_a_key_of_ours_that_comes_back_ends_it_rather_than_going_on_in_clear():
    caller = party()
    offer = caller.create_offer()
    lines = offer.data.split(b"\r\n")
    crypto = [line for line in lines if line.startswith(b"a=crypto:")]
    for line in crypto[1:]:
        offer = edited(offer, line + b"\r\n", b"")
    assert isinstance(caller.receive_answer(offer), DescriptionRefusal)


async def called(*, knows, transport=Transport.TLS):
    stage = Stage(transport=transport)
    stage.alice.policy, stage.alice.opportunistic = OPTIONAL, True
    stage.bob.policy = OPTIONAL if knows else OFF
    caller = stage.dial()
    stage.run(0.2)
    stage.bob.leg.accept()
    stage.run(0.3)
    assert stage.sent("alice").count("INVITE") == 1
    assert caller.state is CallState.CONFIRMED
    return caller


@pytest.mark.parametrize(
    ("transport", "level"),
    [(Transport.TLS, SecurityLevel.ENCRYPTED), (Transport.UDP, SecurityLevel.NOT_SECURE)],
)
async def test_keys_under_avp_are_no_more_secure_than_their_signaling(transport, level):
    call = await called(knows=True, transport=transport)
    assert call.security.media[0].suite is DEFAULT_SUITES[0]
    assert call.security.level is level
    assert not call.security.lock
    shortfalls = {each.code for each in call.security.shortfalls}
    assert (ShortfallCode.SIGNALING_CLEAR in shortfalls) is (transport is Transport.UDP)


async def test_a_clear_answer_is_shown_as_clear():
    call = await called(knows=False)
    assert call.security.level is SecurityLevel.NOT_SECURE
    assert not call.security.lock
    assert ShortfallCode.MEDIA_CLEAR in {each.code for each in call.security.shortfalls}


async def test_a_488_is_followed_by_no_second_invite():
    stage = Stage()
    stage.alice.policy, stage.alice.opportunistic = OPTIONAL, True
    stage.bob.policy = SecurityPolicy(suites=(DEFAULT_SUITES[0],))
    stage.bob.rings = False
    stage.alice.policy = SecurityPolicy(
        suites=(DEFAULT_SUITES[1],), minimum=SecurityLevel.NOT_SECURE, srtp=OPTIONAL.srtp
    )
    stage.dial()
    stage.run(0.3)
    assert stage.sent("alice").count("INVITE") == 1
    assert stage.alice.leg.ended.result().status == 488
