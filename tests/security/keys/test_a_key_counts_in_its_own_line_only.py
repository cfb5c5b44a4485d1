"""An answer whose key stands elsewhere, is ours, or switches encryption off makes no stream."""

from __future__ import annotations

import base64
import random

import pytest

from softphone.call.leg import DescriptionRefusal, MediaProposal, MediaSetup, Negotiation
from softphone.sdp import SessionDescription, read_crypto
from softphone.security import CryptoSuite, SecurityPolicy
from softphone.sip import Body
from tests.support.media_port import RecordingPort

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80
THEIRS = bytes(range(1, 31))
POLICIES = {"required": SecurityPolicy.strict(), "optional": SecurityPolicy.compatible()}
SAVP, AVP = "m=audio 5000 RTP/SAVP 0\r\n", "m=audio 5000 RTP/AVP 0\r\n"


def line(tag: object, material: bytes = THEIRS, more: str = "", suite: str = CM) -> str:
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(material).decode()}{more}\r\n"


REFUSED = {
    "before the first m-line": lambda tag, ours: line(tag) + SAVP,
    "ours with another salt": lambda tag, ours: SAVP + line(tag, ours[CM][:16] + bytes(range(14))),
    "ours of another suite's line": lambda tag, ours: (
        SAVP + line(tag, ours[CryptoSuite.AEAD_AES_128_GCM][:16] + bytes(range(14)))
    ),
    "without encryption": lambda tag, ours: SAVP + line(tag, more=" UNENCRYPTED_SRTP"),
    "without encryption of RTCP": lambda tag, ours: SAVP + line(tag, more=" UNENCRYPTED_SRTCP"),
    "without authentication": lambda tag, ours: SAVP + line(tag, more=" UNAUTHENTICATED_SRTP"),
    "of a tag that was not offered": lambda tag, ours: SAVP + line(99),
    "of a suite that was not offered": lambda tag, ours: (
        SAVP + line(tag, suite="F8_128_HMAC_SHA1_80")
    ),
    "none": lambda tag, ours: SAVP,
    "on one line, and another in clear": lambda tag, ours: (
        SAVP + line(tag) + "m=audio 5002 RTP/AVP 0\r\n"
    ),
}
SPELLINGS = {
    "a tag with a zero before it": lambda tag: SAVP + line(f"0{tag}"),
    "a suite in small letters": lambda tag: SAVP + line(tag, suite=CM.lower()),
}


def answered(policy: SecurityPolicy, make):
    """What becomes of an answer that `make` writes of our CM line's tag and our keys by suite."""
    entropy = random.Random(3).randbytes
    negotiation = Negotiation(MediaSetup(RecordingPort(), policy, entropy, "10.0.0.1"))
    offer = SessionDescription.parse(negotiation.create_offer().data)
    lines = {CryptoSuite(each.suite_name): each for each in read_crypto(offer.media[0])}
    ours = {suite: each.key_params[0].key.reveal() for suite, each in lines.items()}
    head = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
    text = head + make(lines[CM].tag, ours)
    return negotiation.receive_answer(Body("application/sdp", text.encode()))


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("what", list(REFUSED))
def test_it_is_refused_under_every_policy(what, policy):
    assert isinstance(answered(POLICIES[policy], REFUSED[what]), DescriptionRefusal)


@pytest.mark.parametrize("what", list(SPELLINGS))
def test_another_spelling_of_a_good_line_is_that_line(what):
    outcome = answered(POLICIES["required"], lambda tag, ours: SPELLINGS[what](tag))
    assert isinstance(outcome, MediaProposal)
    assert outcome.media[0].suite is CM


def test_an_answer_in_clear_is_taken_where_the_policy_lets_it_only():
    assert isinstance(answered(POLICIES["required"], lambda *_: AVP), DescriptionRefusal)
    outcome = answered(POLICIES["optional"], lambda *_: AVP)
    assert isinstance(outcome, MediaProposal)
    assert outcome.media[0].suite is None
