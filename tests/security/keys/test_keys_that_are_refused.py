"""Keys that no honest far end sends: all zeros, ours sent back, one on two lines, the 33rd.

A line with such a key is never used, under no policy it leads to a call in clear, and a re-INVITE
with one gets 488 while the call goes on with the keys that it has.
"""

from __future__ import annotations

import base64
import random
import re
from dataclasses import replace

import pytest

from softphone.call.leg import (
    DescriptionRefusal,
    MediaProposal,
    MediaSetup,
    Negotiation,
    VideoSetup,
)
from softphone.events import CallState, SecurityRefused
from softphone.sdp import Crypto
from softphone.security import CryptoSuite, SecurityPolicy, SrtpPolicy
from softphone.sip import Body
from softphone.srtp import MAXIMUM_KEYS, CryptoRefusalCode, KeyHistory, make_crypto_answer
from tests.support.media_port import RecordingPort
from tests.support.stage import Stage, first_line

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80
GCM = CryptoSuite.AEAD_AES_256_GCM
POLICIES = [
    SecurityPolicy.strict(),
    SecurityPolicy.compatible(),
    SecurityPolicy.compatible().with_srtp(SrtpPolicy.REQUIRED),
]
CRYPTO = re.compile(rb"a=crypto:([0-9]+) (\S+) inline:(\S+)\r\n")
HEAD = "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"


def inline(material: bytes, suite: CryptoSuite = CM, tag: int = 1) -> str:
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(material).decode()}\r\n"


def key(number: int) -> bytes:
    return number.to_bytes(30, "big")[::-1]


ZERO = bytes(16) + b"some salt 1234"


def party(policy: SecurityPolicy, *, video: bool = False) -> Negotiation:
    entropy, port = random.Random(1).randbytes, RecordingPort()
    setup = VideoSetup(port, ("VP8",), offer=True) if video else None
    port.stream = lambda handle: type("Stream", (), {})()
    return Negotiation(MediaSetup(port, policy, entropy, "127.0.0.1", video=setup))


def description(*audio: str, profile: str = "RTP/SAVP", video: str = "", version: int = 1) -> Body:
    text = HEAD.format(version=version)
    text += f"m=audio 5004 {profile} 0\r\n" + "".join(audio)
    if video:
        text += f"m=video 5006 {profile} 96\r\na=rtpmap:96 VP8/90000\r\n" + video
    return Body("application/sdp", text.encode())


def assert_refused(outcome: object, negotiation: Negotiation, code: str) -> None:
    assert isinstance(outcome, DescriptionRefusal)
    assert code in outcome.explanation
    assert outcome.shortfalls
    negotiation.rollback()
    assert not any(spec.send_key is None for spec in negotiation.setup.backend.specs)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/AVP"])
def test_an_offer_with_a_master_key_of_zeros_is_refused(policy, profile):
    negotiation = party(policy)
    outcome = negotiation.receive_offer(description(inline(ZERO), profile=profile))
    assert_refused(outcome, negotiation, "all zeros")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_line_in_clear_beside_such_a_key_is_not_taken_instead(policy):
    text = description(inline(ZERO)).data.decode() + "m=audio 5008 RTP/AVP 0\r\n"
    negotiation = party(policy)
    outcome = negotiation.receive_offer(Body("application/sdp", text.encode()))
    assert_refused(outcome, negotiation, "all zeros")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/AVP"])
@pytest.mark.parametrize("what", ["zero", "reflected", "salted"])
def test_an_answer_with_such_a_key_is_refused(policy, profile, what):
    negotiation = party(policy)
    offered = CRYPTO.findall(negotiation.create_offer().data)
    tag, suite, text = next(each for each in offered if each[1].decode() == CM.value)
    ours = base64.b64decode(text + b"==")
    material = {"zero": ZERO, "reflected": ours, "salted": ours[:16] + bytes(13) + b"x"}[what]
    line = inline(material, CryptoSuite(suite.decode()), int(tag))
    outcome = negotiation.receive_answer(description(line, profile=profile))
    assert_refused(outcome, negotiation, "all zeros" if what == "zero" else "key")


def test_a_usable_line_beside_one_of_zeros_is_used():
    negotiation = party(SecurityPolicy.compatible())
    outcome = negotiation.receive_offer(
        description(inline(bytes(44), GCM), inline(key(7), CM, tag=2))
    )
    assert isinstance(outcome, MediaProposal)
    assert outcome.media[0].suite is CM
    assert not outcome.media[0].unusable_crypto


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/AVP"])
def test_one_key_on_two_m_lines_is_refused_in_offer_and_answer(policy, profile):
    negotiation = party(policy, video=True)
    shared = description(inline(key(7)), profile=profile, video=inline(key(7)))
    assert_refused(negotiation.receive_offer(shared), negotiation, "another m-line")
    offered = CRYPTO.findall(negotiation.create_offer().data)
    (tag,) = {tag for tag, suite, _ in offered if suite.decode() == CM.value}
    line = inline(key(7), CM, int(tag))
    answer = description(line, profile=profile, video=line)
    assert_refused(negotiation.receive_answer(answer), negotiation, "another m-line")


def test_two_keys_on_two_m_lines_and_one_key_for_two_suites_of_a_line_are_fine():
    negotiation = party(SecurityPolicy.strict(), video=True)
    cm_32 = CryptoSuite.AES_CM_128_HMAC_SHA1_32
    offer = description(inline(key(7)), inline(key(7), cm_32, tag=2), video=inline(key(8)))
    outcome = negotiation.receive_offer(offer)
    assert isinstance(outcome, MediaProposal)
    assert [stream.suite for stream in outcome.media] == [CM, CM]


def test_no_key_of_ours_is_ever_so_old_that_it_may_come_back():
    """Whoever has us make a key a re-INVITE may wait for the first ones to be forgotten."""
    history, entropy = KeyHistory(), random.Random(1).randbytes
    theirs = Crypto.parse(inline(key(7))[9:])
    history.note_theirs("audio", theirs)
    made = [make_crypto_answer(theirs, entropy=entropy) for _ in range(1100)]
    for line in made:
        history.note_ours((line,))
        assert history.find_fault("audio", theirs, ()) is None
    codes = {history.find_fault("audio", line, ())[0] for line in made}
    assert codes == {CryptoRefusalCode.KEY_REFLECTED, CryptoRefusalCode.TOO_MANY_KEYS}


# In a call ---------------------------------------------------------------------------------------


def reinvited(stage: Stage, material: bytes, version: int, *, host: str = "192.0.2.2") -> str:
    """Bob re-INVITEs Alice with another key; the start line of her answer."""
    body = next(d for n, d in stage.wire if n == "bob" and b"m=audio" in d)
    body = body.partition(b"\r\n\r\n")[2]
    body = CRYPTO.sub(inline(material).encode(), body, count=1)
    body = body.replace(b"c=IN IP4 192.0.2.2", b"c=IN IP4 " + host.encode())
    body = re.sub(rb"(?m)^(o=\S+ \S+) [0-9]+", lambda m: b"%s %d" % (m[1], version), body)
    # Bob's own leg has not made this offer, and would hang up on its answer.
    stage.bob.adopt(stage.bob.leg.usage, lambda event: None)
    before = len(stage.wire)
    with stage.bob.change() as now:
        stage.bob.leg.usage.reinvite(Body("application/sdp", body), now=now)
    stage.run(0.3)
    return next(first_line(d) for n, d in stage.wire[before:] if n == "alice")


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_33rd_key_gets_488_and_the_call_stays(policy):
    stage = Stage()
    stage.alice.policy = policy
    alice, _ = stage.answered()
    used = 1
    for number in range(100, 100 + MAXIMUM_KEYS - used):
        assert reinvited(stage, key(number), number).startswith("SIP/2.0 200")
    before = alice.negotiation.spec
    for number in (500, 501):
        assert reinvited(stage, key(number), number).startswith("SIP/2.0 488")
    assert alice.state is CallState.CONFIRMED
    assert alice.negotiation.spec == before
    assert any(isinstance(event, SecurityRefused) for event in stage.alice.events)
    # A key of before is no new one.
    assert reinvited(stage, key(110), 600).startswith("SIP/2.0 200")
    keys = {spec.receive_key.key.reveal() for spec in stage.alice.port.specs}
    assert len(keys) == MAXIMUM_KEYS
    assert key(500) not in keys


@pytest.mark.parametrize("what", ["zero", "reflected", "reflected from before"])
@pytest.mark.parametrize("policy", POLICIES)
async def test_a_reinvite_with_a_key_of_zeros_or_of_ours_gets_488_and_the_call_stays(policy, what):
    stage = Stage()
    stage.alice.policy = replace(policy, suites=(CM,))
    alice, _ = stage.answered()
    ours = alice.negotiation.spec.send_key.key.reveal()
    if what == "reflected from before":
        # Media that goes to another place has Alice take another key.
        assert reinvited(stage, key(9), 50, host="192.0.2.77").startswith("SIP/2.0 200")
        assert alice.negotiation.spec.send_key.key.reveal() != ours
    before = alice.negotiation.spec
    material = ZERO if what == "zero" else ours
    assert reinvited(stage, material, 90).startswith("SIP/2.0 488")
    assert alice.state is CallState.CONFIRMED
    assert alice.negotiation.spec == before
    assert any(isinstance(event, SecurityRefused) for event in stage.alice.events)
