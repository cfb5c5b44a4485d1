"""What the far end and the user are told of a description that is refused, word by word."""

from __future__ import annotations

import pytest

from softphone.call.leg.negotiation import DescriptionRefusal
from softphone.security import ShortfallCode
from softphone.sip import Body
from tests.call.leg.test_negotiation import AVP, KEY, OFF, OPTIONAL, REQUIRED, offer_of, party
from tests.call.leg.test_renegotiation import LINE, with_video

ZEROS = LINE + "inline:" + "A" * 40
NOWHERE = AVP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 224.0.0.1")
NO_KEY = "no crypto line of it can be used:"
ZERO = "crypto line 1 (AES_CM_128_HMAC_SHA1_80): the master key is all zeros, which everybody knows"
SECURITY = (ShortfallCode.SRTP_REQUIRED,)


def with_picture(body: Body, profile: str, *lines: str) -> Body:
    """A description with a second m-line, of video."""
    more = (f"m=video 5006 {profile} 97", "a=rtpmap:97 H264/90000", *lines)
    return Body(body.media_type, body.data + "".join(f"{line}\r\n" for line in more).encode())


def told(refusal) -> tuple[int, str, tuple[ShortfallCode, ...]]:
    assert isinstance(refusal, DescriptionRefusal)
    for shortfall in refusal.shortfalls:
        assert shortfall.explanation == refusal.explanation
    codes = tuple(shortfall.code for shortfall in refusal.shortfalls)
    return refusal.warning_code, refusal.explanation, codes


@pytest.mark.parametrize(
    ("body", "explanation"),
    [
        (None, "a session description is missing"),
        (Body("text/plain", b"hello"), "text/plain is no session description"),
        (
            Body("application/sdp", b"hello"),
            "the session description is malformed: line 1: it is not a letter of SDP followed by =",
        ),
    ],
)
def test_a_body_without_a_description_is_told_as_such_in_offer_and_answer(body, explanation):
    caller = party()
    caller.create_offer()
    for refusal in (party().receive_offer(body), caller.receive_answer(body)):
        assert told(refusal) == (399, explanation, ())
    assert caller.offer_pending


@pytest.mark.parametrize(
    ("policy", "offer", "code", "explanation", "shortfalls"),
    [
        (
            REQUIRED,
            offer_of(),
            302,
            "SRTP is required and the offer's audio stream is RTP/AVP, in clear",
            SECURITY,
        ),
        (
            OFF,
            offer_of("RTP/SAVP", LINE + KEY),
            302,
            "the offer is RTP/SAVP and SRTP is off here",
            (),
        ),
        (
            OPTIONAL,
            offer_of("RTP/SAVP"),
            399,
            f"the offer is RTP/SAVP and {NO_KEY} it has no crypto line",
            SECURITY,
        ),
        (
            OPTIONAL,
            offer_of("RTP/AVP", ZEROS),
            399,
            f"the offer is RTP/AVP and {NO_KEY} {ZERO}",
            SECURITY,
        ),
        (
            OFF,
            offer_of(session=NOWHERE),
            301,
            "the media address 224.0.0.1 is not that of one host",
            (),
        ),
        (OFF, offer_of(formats="18"), 305, "the offer has no audio stream that we can decode", ()),
        (
            OFF,
            offer_of("UDP/TLS/RTP/SAVPF"),
            302,
            "the offer's audio is UDP/TLS/RTP/SAVPF, which is keys by DTLS (DTLS-SRTP); "
            "offer RTP/SAVP with a=crypto lines (SDES, RFC 4568), or RTP/AVP",
            (),
        ),
    ],
)
def test_an_offer_is_refused_in_these_words(policy, offer, code, explanation, shortfalls):
    callee = party(policy)
    assert told(callee.receive_offer(offer)) == (code, explanation, shortfalls)
    assert not callee.offer_pending


def test_an_offer_whose_picture_alone_has_a_hostile_key_is_refused_for_the_picture():
    offer = with_picture(offer_of("RTP/SAVP", LINE + KEY), "RTP/SAVPF", ZEROS)
    refusal = with_video(OPTIONAL).receive_offer(offer)
    assert told(refusal) == (399, f"the offer is RTP/SAVPF and {NO_KEY} {ZERO}", SECURITY)


def test_an_offer_while_ours_waits_is_refused_in_these_words():
    caller = party()
    caller.create_offer()
    assert told(caller.receive_offer(offer_of())) == (
        399,
        "an offer waits for its answer already",
        (),
    )


@pytest.mark.parametrize(
    ("policy", "answer", "code", "explanation", "shortfalls"),
    [
        (
            REQUIRED,
            offer_of(),
            302,
            "SRTP is required and the answer's audio stream is RTP/AVP, in clear",
            SECURITY,
        ),
        (
            OPTIONAL,
            offer_of("RTP/SAVP"),
            399,
            f"the answer is RTP/SAVP and {NO_KEY} "
            "crypto line ? (unreadable): there is no crypto line",
            SECURITY,
        ),
        (
            OPTIONAL,
            offer_of("RTP/AVP", ZEROS),
            399,
            f"the answer is RTP/AVP and {NO_KEY} {ZERO}",
            SECURITY,
        ),
        (
            OFF,
            offer_of(session=NOWHERE),
            301,
            "the media address 224.0.0.1 is not that of one host",
            (),
        ),
        (
            OFF,
            offer_of(formats="18"),
            399,
            "the answer does not fit our offer: m-line 0 of the answer has not a codec that we "
            "offered",
            (),
        ),
        (
            OFF,
            offer_of("RTP/SAVP", LINE + KEY),
            399,
            "the answer does not fit our offer: m-line 0 answers RTP/AVP with RTP/SAVP",
            (),
        ),
        (
            OFF,
            Body("application/sdp", offer_of().data.replace(b"audio 5004", b"audio 0")),
            304,
            "the answer refuses every media stream",
            (),
        ),
    ],
)
def test_an_answer_is_refused_in_these_words(policy, answer, code, explanation, shortfalls):
    caller = party(policy)
    caller.create_offer()
    assert told(caller.receive_answer(answer)) == (code, explanation, shortfalls)


@pytest.mark.parametrize("lines", [(), ("a=crypto:1 F8_128_HMAC_SHA1_80 " + KEY,)])
def test_an_answer_in_clear_from_a_server_that_has_not_agreed_is_refused_in_these_words(lines):
    caller = party(OPTIONAL, fallback=False)
    caller.create_offer()
    explanation = (
        "we offered SRTP, the answer's audio stream is RTP/AVP, in clear, and the server has not "
        "agreed to such answers"
    )
    assert told(caller.receive_answer(offer_of("RTP/AVP", *lines))) == (302, explanation, SECURITY)


@pytest.mark.parametrize(("policy", "fallback"), [(REQUIRED, True), (OPTIONAL, False)])
def test_a_picture_in_clear_beside_encrypted_sound_is_refused_for_the_picture(policy, fallback):
    caller = with_video(policy, fallback=fallback)
    caller.create_offer()
    answer = with_picture(offer_of("RTP/SAVP", "a=crypto:3" + LINE[10:] + KEY), "RTP/AVP")
    code, explanation, shortfalls = told(caller.receive_answer(answer))
    assert (code, shortfalls) == (302, SECURITY)
    assert "the answer's video stream is RTP/AVP, in clear" in explanation


def test_one_key_for_sound_and_picture_is_refused_at_the_first_of_them():
    caller = with_video(OPTIONAL)
    caller.create_offer()
    line = "a=crypto:3" + LINE[10:] + KEY
    answer = with_picture(offer_of("RTP/SAVP", line, formats="0"), "RTP/AVP", line)
    shared = "crypto line 3 (AES_CM_128_HMAC_SHA1_80): another m-line has the same key and salt"
    explanation = f"the answer is RTP/SAVP and {NO_KEY} {shared}"
    assert told(caller.receive_answer(answer)) == (399, explanation, SECURITY)


def test_an_answer_that_nobody_waits_for_is_refused_in_these_words():
    assert told(party().receive_answer(offer_of())) == (
        399,
        "no offer of ours waits for this answer",
        (),
    )
