"""Profiles of SRTP that a peer writes in small letters: SRTP all the same, never in clear."""

from __future__ import annotations

import pytest

from softphone.call.leg.negotiation import DescriptionRefusal
from softphone.security import KeyExchange, MediaSecurity
from tests.call.leg.test_keys_of_an_offer import CM_80, crypto
from tests.call.leg.test_negotiation import KEY, OFF, OPTIONAL, REQUIRED, offer_of, party
from tests.call.leg.test_renegotiation import text_of

PROFILES = ("rtp/savp", "rtp/savpf", "RTP/Savp")


@pytest.mark.parametrize("lines", [(), ("a=crypto:1 F8_128_HMAC_SHA1_80 " + KEY,)])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL, OFF])
def test_an_offer_of_srtp_in_small_letters_is_not_answered_in_clear(policy, profile, lines):
    callee = party(policy)
    refusal = callee.receive_offer(offer_of(profile, *lines))
    assert isinstance(refusal, DescriptionRefusal)
    assert f"the offer is {profile} and " in refusal.explanation
    assert not callee.offer_pending


@pytest.mark.parametrize("lines", [(), ("a=crypto:1 F8_128_HMAC_SHA1_80 " + KEY,)])
@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL])
def test_an_answer_of_srtp_in_small_letters_is_not_taken_in_clear(policy, lines):
    caller = party(policy)
    caller.create_offer()
    refusal = caller.receive_answer(offer_of("rtp/savp", *lines))
    assert isinstance(refusal, DescriptionRefusal)
    assert "the answer is rtp/savp and no crypto line" in refusal.explanation


@pytest.mark.parametrize("profile", PROFILES)
def test_srtp_in_small_letters_is_keyed_and_offered_again_as_it_was(profile):
    callee = party(OPTIONAL)
    result = callee.receive_offer(offer_of(profile, crypto(1, 0x11)))
    assert result.media == (MediaSecurity("audio", profile, CM_80, KeyExchange.SDES),)
    callee.commit(0)
    again = text_of(callee.create_offer())
    assert f"m=audio 40000 {profile} " in again
    assert f"a=crypto:1 {CM_80} " in again
