"""Which key of an offer a stream takes, in a new call and in one that has streams already."""

from __future__ import annotations

import base64

import pytest

from softphone.call.leg import MediaProposal
from softphone.call.leg.negotiation import DescriptionRefusal
from softphone.errors import LocalProtocolError
from softphone.security import CryptoSuite, KeyExchange, MediaSecurity, ShortfallCode
from softphone.sip import Body
from tests.call.leg.test_negotiation import (
    OFF,
    OPTIONAL,
    REQUIRED,
    agree,
    codes,
    offer_of,
    party,
    specs,
)
from tests.call.leg.test_renegotiation import keys_of, text_of, with_video

CM_80, GCM_256 = CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AEAD_AES_256_GCM


def crypto(tag: int, fill: int, suite: CryptoSuite = CM_80) -> str:
    key = base64.b64encode(bytes([fill]) * suite.material_length).decode()
    return f"a=crypto:{tag} {suite} inline:{key}"


def received(negotiation) -> list[int]:
    """The octet that each stream's receive key is made of, as it was opened last."""
    rows = negotiation._rows.values()
    return [row.spec.receive_key.key.reveal()[0] for row in rows]


def audio_and_video(audio: tuple[str, ...], video: tuple[str, ...]) -> Body:
    body = offer_of("RTP/SAVP", *audio, formats="0")
    lines = ("m=video 5006 RTP/SAVP 97", "a=rtpmap:97 H264/90000", *video)
    return Body(body.media_type, body.data + "".join(f"{line}\r\n" for line in lines).encode())


@pytest.mark.parametrize("lines", [(1, 2), (2, 1)])
@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL])
def test_a_stream_stays_with_its_suite_when_a_stronger_one_is_offered_later(policy, lines):
    callee = party(policy)
    callee.receive_offer(offer_of("RTP/SAVP", crypto(1, 0x11)))
    callee.commit(0)
    weak, strong = lines
    offer = offer_of("RTP/SAVP", crypto(weak, 0x11), crypto(strong, 0x22, GCM_256))
    result = callee.receive_offer(offer)
    assert [media.suite for media in result.media] == [CM_80]
    assert f"a=crypto:{weak} {CM_80} " in text_of(result.body)
    callee.commit(0)
    first, second = specs(callee)
    assert second.send_key.suite is CM_80
    assert second.send_key.key.reveal() == first.send_key.key.reveal()
    assert received(callee) == [0x11]


def test_a_new_stream_takes_the_strongest_suite_that_is_offered():
    result = party().receive_offer(
        offer_of("RTP/SAVP", crypto(1, 0x11), crypto(2, 0x22, GCM_256)),
    )
    assert [media.suite for media in result.media] == [GCM_256]
    assert f"a=crypto:2 {GCM_256} " in text_of(result.body)


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/AVP"])
@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL])
def test_a_stream_that_is_limited_to_other_suites_is_refused_and_not_answered_in_clear(
    policy, profile
):
    callee = party(policy)
    callee.use_suites((GCM_256,))
    refusal = callee.receive_offer(offer_of(profile, crypto(5, 0x11)))
    assert isinstance(refusal, DescriptionRefusal)
    assert refusal.warning_code == 399
    assert refusal.explanation == (
        f"the offer is {profile} and no crypto line of it can be used: "
        f"crypto line 5 ({CM_80}): {CM_80} is not allowed here"
    )
    assert codes(refusal) == {ShortfallCode.SRTP_REQUIRED}
    assert not callee.offer_pending
    assert specs(callee) == []
    result = callee.receive_offer(offer_of(profile, crypto(5, 0x11), crypto(6, 0x22, GCM_256)))
    assert [media.suite for media in result.media] == [GCM_256]


@pytest.mark.parametrize("again", [False, True])
def test_of_several_lines_the_one_is_taken_whose_key_no_other_stream_has(again):
    callee = with_video()
    if again:
        first = audio_and_video((crypto(1, 0x11),), (crypto(1, 0x12),))
        assert isinstance(callee.receive_offer(first), MediaProposal)
        callee.commit(0)
        assert received(callee) == [0x11, 0x12]
    shared = crypto(1, 0x33)
    offer = audio_and_video((shared, crypto(2, 0x44)), (shared, crypto(2, 0x55)))
    result = callee.receive_offer(offer)
    assert [media.suite for media in result.media] == [CM_80, CM_80]
    assert text_of(result.body).count(f"a=crypto:2 {CM_80} ") == 2
    callee.commit(0)
    assert received(callee) == [0x44, 0x55]


def test_without_an_offer_that_was_judged_there_is_no_answer():
    callee = party()
    with pytest.raises(LocalProtocolError, match="no offer"):
        callee.make_answer()
    offer = offer_of("RTP/SAVP", crypto(1, 0x11))
    assert isinstance(callee.judge_offer(offer), MediaProposal)
    callee.rollback()
    with pytest.raises(LocalProtocolError, match="no offer"):
        callee.make_answer()
    assert isinstance(callee.judge_offer(offer), MediaProposal)
    assert len(keys_of(callee.make_answer())) == 1


def test_a_proposal_tells_profile_suite_and_key_exchange_and_so_does_the_stream_in_force():
    caller, callee = party(seed=1), party(seed=2)
    told = MediaSecurity("audio", "RTP/SAVP", GCM_256, KeyExchange.SDES)
    for proposal in agree(caller, callee):
        assert proposal.media == (told,)
    assert caller.media == callee.media == (told,)


def test_a_stream_in_clear_is_told_as_such_with_its_profile():
    caller, callee = party(OFF, seed=1), party(OFF, seed=2)
    told = MediaSecurity("audio", "RTP/AVP")
    for proposal in agree(caller, callee):
        assert proposal.media == (told,)
    assert caller.media == callee.media == (told,)
