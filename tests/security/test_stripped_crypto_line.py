"""Somebody on the way takes the crypto line out, or makes the profile a clear one.

SDP and SDES report exactly what is left; neither invents security nor goes on in clear by itself.
"""

from __future__ import annotations

import pytest

from softphone.events import Direction
from softphone.sdp import (
    AnswerMismatch,
    CodecCapability,
    LocalMediaLine,
    MediaCapability,
    OfferAnswerSession,
    SessionDescription,
)
from softphone.security import CryptoSuite
from softphone.srtp import SdesNegotiation

AUDIO = MediaCapability("audio", (CodecCapability("PCMU", 8000, payload_type=0),))
SUITES = tuple(CryptoSuite)
AT = ("192.0.2.2", 5000)


class Leg:
    """A session and the keys of its audio stream."""

    def __init__(self, entropy, address: str) -> None:
        self.session = OfferAnswerSession([AUDIO], address=address, session_id=1)
        self.keys = SdesNegotiation(SUITES, entropy=entropy)

    def offer(self) -> bytes:
        line = LocalMediaLine("audio", 4000, profile="RTP/SAVP", crypto=self.keys.make_offer())
        return self.session.make_offer([line]).encode()

    def answer(self, offer: bytes) -> bytes:
        (line,) = self.session.choose_lines(
            self.session.apply_offer(SessionDescription.parse(offer))
        )
        choice = self.keys.choose_line(line.crypto)
        result = self.keys.make_answer(choice, remote=AT, direction=Direction.SENDRECV)
        self.keys.commit()
        return self.session.make_answer(
            {line.index: LocalMediaLine("audio", 5000, crypto=(result.local,))}
        ).encode()


def without_crypto(data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(b"a=crypto"))


@pytest.fixture
def legs(entropy) -> tuple[Leg, Leg]:
    return Leg(entropy, "192.0.2.1"), Leg(entropy, "192.0.2.2")


def test_an_answer_without_its_crypto_line_has_no_keys(legs):
    alice, bob = legs
    answer = without_crypto(bob.answer(alice.offer()))
    (agreed,) = alice.session.apply_answer(SessionDescription.parse(answer))
    assert (agreed.profile, agreed.remote_crypto) == ("RTP/SAVP", ())
    refusals = alice.keys.apply_answer((), remote=AT, direction=Direction.SENDRECV)
    assert [refusal.code for refusal in refusals] == ["no_line"]
    assert alice.keys.current is None


def test_an_offer_without_its_crypto_lines_has_no_keys(legs):
    alice, bob = legs
    offer = SessionDescription.parse(without_crypto(alice.offer()))
    (line,) = bob.session.apply_offer(offer)
    assert (line.secure, line.crypto) == (True, ())
    refusals = bob.keys.choose_line(line.crypto).refusals
    assert [refusal.code for refusal in refusals] == ["no_line"]


def test_a_profile_made_clear_is_reported_as_clear(legs):
    alice, bob = legs
    answer = without_crypto(bob.answer(alice.offer())).replace(b"RTP/SAVP", b"RTP/AVP")
    (agreed,) = alice.session.apply_answer(SessionDescription.parse(answer))
    assert agreed.profile == "RTP/AVP"
    assert alice.keys.current is None


def test_a_weaker_suite_put_into_the_answer_is_refused(legs):
    alice, bob = legs
    answer = bob.answer(alice.offer()).replace(b"AEAD_AES_256_GCM", b"AES_CM_128_HMAC_SHA1_32")
    (agreed,) = alice.session.apply_answer(SessionDescription.parse(answer))
    result = alice.keys.apply_answer(agreed.remote_crypto, remote=AT, direction=Direction.SENDRECV)
    assert [refusal.code for refusal in result] == ["key_length"]


def test_encryption_switched_off_by_a_session_parameter_is_refused(legs):
    alice, bob = legs
    answer = bob.answer(alice.offer())
    for parameter in (b"UNENCRYPTED_SRTP", b"UNAUTHENTICATED_SRTP", b"UNENCRYPTED_SRTCP"):
        lines = [
            line + b" " + parameter if line.startswith(b"a=crypto") else line
            for line in answer.split(b"\r\n")
        ]
        (agreed,) = alice.session.apply_answer(
            SessionDescription.parse(b"\r\n".join(lines)), final=False
        )
        result = alice.keys.apply_answer(
            agreed.remote_crypto, remote=AT, direction=Direction.SENDRECV, final=False
        )
        assert [refusal.code for refusal in result] == ["session_parameter"]


def test_a_secure_answer_to_a_clear_offer_is_refused():
    session = OfferAnswerSession([AUDIO], address="192.0.2.1", session_id=1)
    session.make_offer([LocalMediaLine("audio", 4000, profile="RTP/AVP")])
    answer = "v=0\no=- 1 1 IN IP4 192.0.2.2\ns=-\nc=IN IP4 192.0.2.2\nm=audio 5000 RTP/SAVP 0\n"
    with pytest.raises(AnswerMismatch):
        session.apply_answer(SessionDescription.parse(answer.encode()))
