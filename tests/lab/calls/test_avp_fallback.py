"""RTP/SAVP answered with RTP/AVP, which only the lab's server does."""

from __future__ import annotations

import random

import pytest

from softphone.call.leg import MediaProposal, MediaSetup, Negotiation
from softphone.call.leg.negotiation import DescriptionRefusal
from softphone.lab.calls.avp_fallback import ClearNegotiation
from softphone.security import SecurityPolicy
from softphone.sip import Body
from tests.support.media_port import RecordingPort


def setup(policy):
    return MediaSetup(
        backend=RecordingPort(),
        policy=policy,
        entropy=random.Random(3).randbytes,
        host="127.0.0.1",
    )


@pytest.mark.parametrize("policy", [SecurityPolicy.strict(), SecurityPolicy.clear()])
def test_any_offer_is_answered_in_clear(policy):
    offer = Negotiation(setup(policy)).create_offer()
    server = ClearNegotiation(setup(SecurityPolicy.strict()))
    outcome = server.receive_offer(offer)
    assert isinstance(outcome, MediaProposal)
    assert b"RTP/AVP " in outcome.body.data
    assert b"RTP/SAVP" not in outcome.body.data
    assert b"a=crypto" not in outcome.body.data
    assert [media.suite for media in outcome.media] == [None]


def test_a_phone_that_requires_srtp_refuses_such_an_answer():
    phone = Negotiation(setup(SecurityPolicy.strict()))
    answer = ClearNegotiation(setup(SecurityPolicy.strict())).receive_offer(phone.create_offer())
    outcome = phone.receive_answer(answer.body)
    if isinstance(outcome, MediaProposal):
        assert outcome.media[0].suite is None
    else:
        assert isinstance(outcome, DescriptionRefusal)
    assert not any(phone.setup.backend.opened.values())


def test_its_own_offer_is_clear():
    assert b"RTP/AVP " in ClearNegotiation(setup(SecurityPolicy.strict())).create_offer().data


@pytest.mark.parametrize("body", [None, Body("application/sdp", b"nonsense")])
def test_what_is_no_description_is_unacceptable(body):
    outcome = ClearNegotiation(setup(SecurityPolicy.strict())).receive_offer(body)
    assert isinstance(outcome, DescriptionRefusal)
