"""The negotiation of one call's media: what is agreed, refused and never done."""

from __future__ import annotations

import random
import re
from functools import partial

import pytest

from softphone.call.leg import MediaProposal, MediaSetup, Negotiation, RtcpXrDemand, RtcpXrMode
from softphone.call.leg.negotiation import DescriptionRefusal, read_description
from softphone.events import Direction
from softphone.sdp import SessionDescription
from softphone.security import DEFAULT_SUITES, CryptoSuite, SecurityPolicy, ShortfallCode
from softphone.sip import Body
from softphone.srtp import make_crypto_offer
from tests.support.media_port import RecordingPort

REQUIRED = SecurityPolicy.strict()
OPTIONAL = SecurityPolicy.compatible()
OFF = SecurityPolicy.clear()
KEY = "inline:" + "Kx3v" * 10
AVP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"


def party(policy=REQUIRED, seed=1, **options):
    return Negotiation(
        MediaSetup(
            backend=RecordingPort(),
            policy=policy,
            entropy=random.Random(seed).randbytes,
            host="127.0.0.1",
            **options,
        )
    )


def offer_of(profile="RTP/AVP", *lines, session=AVP, formats="0 8 101"):
    text = f"{session}m=audio 5004 {profile} {formats}\r\na=rtpmap:101 telephone-event/8000\r\n"
    return Body("application/sdp", (text + "".join(f"{line}\r\n" for line in lines)).encode())


def agree(caller, callee):
    answer = callee.receive_offer(caller.create_offer())
    assert isinstance(answer, MediaProposal)
    result = caller.receive_answer(answer.body)
    assert isinstance(result, MediaProposal)
    callee.commit(0)
    caller.commit(0)
    return result, answer


def specs(negotiation):
    return negotiation.setup.backend.specs


def codes(refusal):
    return {shortfall.code for shortfall in refusal.shortfalls}


def test_two_strict_parties_agree_on_the_strongest_suite_and_each_others_keys():
    caller, callee = party(seed=1), party(seed=2)
    result, _ = agree(caller, callee)
    assert [m.suite for m in result.media] == [CryptoSuite.AEAD_AES_256_GCM]
    (ours,), (theirs,) = specs(caller), specs(callee)
    assert ours.send_key.key.reveal() == theirs.receive_key.key.reveal()
    assert ours.receive_key.key.reveal() == theirs.send_key.key.reveal()
    assert ours.send_key.key.reveal() != ours.receive_key.key.reveal()


def test_nothing_is_opened_before_the_commit():
    caller, callee = party(seed=1), party(seed=2)
    answer = callee.receive_offer(caller.create_offer())
    caller.receive_answer(answer.body)
    assert specs(caller) == specs(callee) == []


def test_the_offer_of_a_strict_party_is_savp_with_every_suite_in_order():
    text = party().create_offer().data.decode()
    assert "RTP/SAVP 0 8" in text
    positions = [text.index(suite.value + " ") for suite in DEFAULT_SUITES]
    assert positions == sorted(positions)


def test_a_party_without_srtp_offers_avp_and_no_key():
    text = party(OFF).create_offer().data.decode()
    assert "RTP/AVP" in text
    assert "a=crypto" not in text


@pytest.mark.parametrize("lines", [(), ("a=crypto:1 F8_128_HMAC_SHA1_80 " + KEY,)])
def test_required_refuses_an_offer_in_clear(lines):
    negotiation = party()
    refusal = negotiation.receive_offer(offer_of("RTP/AVP", *lines))
    assert isinstance(refusal, DescriptionRefusal)
    assert codes(refusal) == {ShortfallCode.SRTP_REQUIRED}
    assert not negotiation.offer_pending


def test_required_refuses_an_answer_in_clear():
    negotiation = party()
    negotiation.create_offer()
    refusal = negotiation.receive_answer(offer_of("RTP/AVP"))
    assert isinstance(refusal, DescriptionRefusal)
    assert codes(refusal) == {ShortfallCode.SRTP_REQUIRED}
    assert specs(negotiation) == []


def test_optional_accepts_an_answer_in_clear_and_opens_it_without_keys():
    negotiation = party(OPTIONAL)
    negotiation.create_offer()
    result = negotiation.receive_answer(offer_of("RTP/AVP"))
    assert isinstance(result, MediaProposal)
    assert result.media[0].suite is None
    negotiation.commit(0)
    assert specs(negotiation)[0].send_key is None


def test_without_fallback_an_answer_in_clear_is_refused_and_says_who_did_not_agree():
    negotiation = party(OPTIONAL, fallback=False)
    negotiation.create_offer()
    refusal = negotiation.receive_answer(offer_of("RTP/AVP"))
    assert isinstance(refusal, DescriptionRefusal)
    assert codes(refusal) == {ShortfallCode.SRTP_REQUIRED}
    assert "has not agreed" in refusal.explanation
    assert specs(negotiation) == []


def test_without_fallback_what_was_offered_in_clear_may_be_answered_so():
    negotiation = party(OFF, fallback=False)
    negotiation.create_offer()
    assert isinstance(negotiation.receive_answer(offer_of("RTP/AVP")), MediaProposal)


@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL])
def test_avp_with_a_usable_key_is_srtp_and_the_profile_is_echoed(policy):
    negotiation = party(policy)
    offer = offer_of("RTP/AVP", "a=crypto:7 AES_CM_128_HMAC_SHA1_80 " + KEY)
    result = negotiation.receive_offer(offer)
    assert isinstance(result, MediaProposal)
    assert result.media[0].suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
    text = result.body.data.decode()
    assert "RTP/AVP " in text
    assert "a=crypto:7 AES_CM_128_HMAC_SHA1_80" in text


def test_optional_answers_a_clear_offer_in_clear():
    result = party(OPTIONAL).receive_offer(offer_of())
    assert isinstance(result, MediaProposal)
    assert "a=crypto" not in result.body.data.decode()


def test_off_refuses_savp_since_it_cannot_be_answered_in_clear():
    line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + KEY
    refusal = party(OFF).receive_offer(offer_of("RTP/SAVP", line))
    assert isinstance(refusal, DescriptionRefusal)
    assert "SRTP is off" in refusal.explanation


@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL, OFF])
def test_an_offer_of_dtls_only_is_refused_for_its_transport(policy):
    negotiation = party(policy)
    refusal = negotiation.receive_offer(offer_of("UDP/TLS/RTP/SAVPF", "a=setup:actpass"))
    assert refusal.warning_code == 302
    assert "UDP/TLS/RTP/SAVPF, which is keys by DTLS" in refusal.explanation
    assert "SDES" in refusal.explanation
    assert not negotiation.offer_pending


def test_a_known_transport_without_a_codec_is_refused_for_its_formats():
    offer = offer_of("RTP/AVP")
    text = re.sub(rb"RTP/AVP [0-9 ]+", b"RTP/AVP 99", offer.data)
    assert party(OFF).receive_offer(Body(offer.content_type, text)).warning_code == 305


def test_off_answers_avp_in_clear_whatever_keys_it_brings():
    line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + KEY
    negotiation = party(OFF)
    result = negotiation.receive_offer(offer_of("RTP/AVP", line))
    assert isinstance(result, MediaProposal)
    assert result.media[0].suite is None
    assert "a=crypto" not in result.body.data.decode()
    negotiation.commit(0)
    (spec,) = specs(negotiation)
    assert spec.send_key is spec.receive_key is None


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), "no crypto line"),
        (("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",), "1 (AES_CM_128_HMAC_SHA1_80)"),
        (("a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + KEY + " UNENCRYPTED_SRTP",), "UNENCRYPTED"),
        (("a=crypto:1 F8_128_HMAC_SHA1_80 " + KEY,), "F8_128_HMAC_SHA1_80"),
    ],
)
@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL])
def test_savp_without_a_usable_key_is_refused_line_by_line(policy, lines, reason):
    refusal = party(policy).receive_offer(offer_of("RTP/SAVP", *lines))
    assert isinstance(refusal, DescriptionRefusal)
    assert reason in refusal.explanation
    assert KEY[7:] not in refusal.explanation


def test_a_suite_that_is_not_allowed_is_not_used():
    policy = SecurityPolicy(suites=(CryptoSuite.AEAD_AES_256_GCM,))
    line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + KEY
    assert isinstance(party(policy).receive_offer(offer_of("RTP/SAVP", line)), DescriptionRefusal)


def test_an_answer_with_a_tag_that_we_did_not_offer_is_refused():
    negotiation = party()
    negotiation.create_offer()
    answer = offer_of("RTP/SAVP", "a=crypto:9 AES_CM_128_HMAC_SHA1_80 " + KEY)
    assert isinstance(negotiation.receive_answer(answer), DescriptionRefusal)


def test_an_answer_in_savp_to_an_offer_in_clear_is_refused():
    negotiation = party(OFF)
    negotiation.create_offer()
    answer = offer_of("RTP/SAVP", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + KEY)
    assert isinstance(negotiation.receive_answer(answer), DescriptionRefusal)


@pytest.mark.parametrize(
    "body",
    [
        None,
        Body("text/plain", b"hello"),
        Body("application/sdp", b"garbage"),
        Body("application/sdp", b""),
        offer_of(session=AVP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 media.example.test")),
        offer_of(session=AVP.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1")),
        offer_of(formats="18"),
    ],
)
def test_what_cannot_be_used_is_explained_and_leaves_nothing_pending(body):
    negotiation = party(OPTIONAL)
    refusal = negotiation.receive_offer(body)
    assert isinstance(refusal, DescriptionRefusal)
    assert refusal.explanation
    assert not negotiation.offer_pending
    assert specs(negotiation) == []


@pytest.mark.parametrize(
    ("host", "suite"),
    [
        ("127.0.0.1", CryptoSuite.AES_CM_128_HMAC_SHA1_80),
        ("203.0.113.9", CryptoSuite.AEAD_AES_256_GCM),
    ],
)
def test_the_suite_is_kept_for_the_far_end_and_chosen_anew_for_another(host, suite):
    """Other keys from another address are those of another party, as after music on hold."""

    def offer(lines, session=AVP):
        texts = [f"a=crypto:{line.to_wire()}" for line in lines]
        return offer_of("RTP/SAVP", *texts, session=session)

    fresh = partial(make_crypto_offer, entropy=random.Random(3).randbytes)
    callee = party()
    callee.receive_offer(offer(fresh([CryptoSuite.AES_CM_128_HMAC_SHA1_80])))
    callee.commit(0)
    session = AVP.replace("IN IP4 127.0.0.1\r\nt=", f"IN IP4 {host}\r\nt=").replace("1 1", "1 2")
    outcome = callee.receive_offer(offer(fresh(DEFAULT_SUITES), session))
    assert isinstance(outcome, MediaProposal)
    assert [media.suite for media in outcome.media] == [suite]


def test_a_hold_keeps_the_key_and_says_sendonly():
    caller, callee = party(seed=1), party(seed=2)
    agree(caller, callee)
    caller.held = True
    agree(caller, callee)
    assert caller.direction is Direction.SENDONLY
    assert callee.direction is Direction.RECVONLY
    first, second = specs(caller)
    assert first.send_key.key.reveal() == second.send_key.key.reveal()


def test_a_refused_change_leaves_the_session_as_it_was():
    caller, callee = party(seed=1), party(seed=2)
    agree(caller, callee)
    before = callee.media
    refusal = callee.receive_offer(offer_of("RTP/AVP"))
    assert isinstance(refusal, DescriptionRefusal)
    callee.rollback()
    assert callee.media == before
    assert len(specs(callee)) == 1
    agree(caller, callee)


def test_a_rolled_back_offer_can_be_made_again():
    caller, callee = party(seed=1), party(seed=2)
    agree(caller, callee)
    caller.held = True
    caller.create_offer()
    caller.rollback()
    caller.held = False
    agree(caller, callee)
    assert caller.direction is Direction.SENDRECV


def test_a_full_offer_after_a_fallback_may_upgrade_to_srtp():
    caller, callee = party(OPTIONAL, seed=1), party(OFF, seed=2)
    caller.create_offer()
    caller.receive_answer(offer_of("RTP/AVP"))
    caller.commit(0)
    del callee
    assert "RTP/AVP" in caller.create_offer().data.decode()
    caller.rollback()
    assert "RTP/SAVP" in caller.create_offer(full=True).data.decode()


def test_closing_closes_every_row_once():
    caller, callee = party(seed=1), party(seed=2)
    agree(caller, callee)
    caller.close()
    caller.close()
    assert [c[0] for c in caller.setup.backend.commands].count("close") == 1


def test_a_newer_security_generation_is_stamped_on_open_streams():
    caller, callee = party(seed=1), party(seed=2)
    agree(caller, callee)
    caller.set_security_generation(5)
    assert specs(caller)[-1].security_generation == 5
    assert specs(caller)[-1].send_key == specs(caller)[0].send_key


def test_digits_and_payload_types_are_taken_from_each_side():
    negotiation = party()
    line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + KEY
    offer = offer_of("RTP/SAVP", line, formats="8 101")
    assert isinstance(negotiation.receive_offer(offer), MediaProposal)
    negotiation.commit(0)
    (spec,) = specs(negotiation)
    assert (spec.codec, spec.payload_type, spec.telephone_event) == ("PCMA", 8, 101)
    assert spec.remote == ("127.0.0.1", 5004)
    assert spec.remote_rtcp == ("127.0.0.1", 5005)


def test_both_sides_send_the_extended_reports_that_the_other_asks_for():
    caller, callee = party(seed=1), party(seed=2)
    assert b"a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n" in caller.create_offer().data
    caller.rollback()
    agree(caller, callee)
    for end in (caller, callee):
        assert end.spec.extended_reports == ("rcvr-rtt", "voip-metrics")
        assert not end.spec.measured


@pytest.mark.parametrize("mode", [RtcpXrMode.OFF, RtcpXrMode.ALWAYS])
def test_extended_reports_may_be_off_or_sent_unasked(mode):
    reports = RtcpXrDemand(mode, measured=True)
    end = party(OFF, reports=reports)
    answer = end.receive_offer(offer_of())
    assert (b"rtcp-xr" in answer.body.data) is (mode is RtcpXrMode.ALWAYS)
    end.commit(0)
    wanted = ("voip-metrics",) if mode is RtcpXrMode.ALWAYS else ()
    assert end.spec.extended_reports == wanted
    assert end.spec.measured


ONCE = ("0.0.0.0/0",)


def test_a_host_that_was_not_signaled_may_be_adopted_in_clear_where_the_account_says_so():
    callee = party(OPTIONAL, clear_latching=ONCE)
    assert isinstance(callee.receive_offer(offer_of()), MediaProposal)
    callee.commit(0)
    assert specs(callee)[-1].clear_latching == ONCE
    plain = party(OPTIONAL)
    assert isinstance(plain.receive_offer(offer_of()), MediaProposal)
    plain.commit(0)
    assert specs(plain)[-1].clear_latching == ()


def test_nobody_may_be_adopted_under_srtp_nor_where_it_is_required():
    caller, callee = party(OPTIONAL, clear_latching=ONCE), party(OPTIONAL, seed=2)
    agree(caller, callee)
    assert specs(caller)[-1].secure
    assert specs(caller)[-1].clear_latching == ()
    strict = party(REQUIRED, clear_latching=ONCE)
    strict._row("audio")
    assert strict._rows["audio"]._clear_latching == ()


def test_each_description_of_the_far_end_has_a_number_of_its_own():
    callee = party(OFF)

    def description(session):
        assert isinstance(callee.receive_offer(offer_of(session=session)), MediaProposal)
        callee.commit(0)
        return specs(callee)[-1].description

    first = description(AVP)
    assert description(AVP) == first
    changed = description(AVP.replace("o=- 1 1", "o=- 1 2"))
    assert changed != first
    assert description(AVP.replace("o=- 1 1", "o=- 9 2")) != changed


def test_the_answer_after_an_early_one_counts_as_another_description():
    caller, callee = party(OFF), party(OFF, seed=2)
    answer = callee.receive_offer(caller.create_offer()).body
    for final in (False, True):
        assert isinstance(caller.receive_answer(answer, final=final), MediaProposal)
        caller.commit(0)
    early, final = [spec.description for spec in specs(caller)]
    assert early != final


def test_only_a_description_is_read():
    assert isinstance(read_description(Body("application/sdp", AVP.encode())), SessionDescription)
    for body in (None, Body("text/plain", AVP.encode()), Body("application/sdp", b"v=1")):
        assert isinstance(read_description(body), DescriptionRefusal)
