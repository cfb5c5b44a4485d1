"""With SRTP required nothing of a call's media is ever on the wire in clear; without, it is seen.

What we send is a known pattern of µ-law octets, what baresip sends a tone; a capture on loopback
has every datagram of our media ports, RTCP too, from before the call until after its end.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from softphone.phone import Phone
from softphone.rtp import is_rtcp
from softphone.security import CryptoSuite, SecurityLevel, SrtpPolicy
from softphone_codecs.g711 import mu_law_values
from tests.peers.phones import AUDIBLE_DBM0, direct_over_tls, level_heard
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.peer("capture")
FRAME = 160
HEADER = 12
TONE_HZ = 620.0
# Without 0x7F, the second zero of µ-law.
PATTERN = bytes(random.Random(3711).choices([n for n in range(256) if n != 0x7F], k=FRAME))
WINDOW = 8
KNOWN = {(PATTERN * 2)[at : at + WINDOW] for at in range(FRAME)}
CNAME = b"@softphone"


class PatternSource:
    """Samples whose µ-law is PATTERN, over and over."""

    clock_rate_hz = 8000
    ended = False

    def __init__(self):
        self._pcm = mu_law_values()[np.frombuffer(PATTERN, dtype=np.uint8)]
        self._at = 0

    def read(self, samples):
        """The next samples."""
        taken = np.take(self._pcm, range(self._at, self._at + samples), mode="wrap")
        self._at = (self._at + samples) % FRAME
        return taken


@pytest.fixture
def ports():
    """Media ports of the phone that are bound by nobody unasked."""
    first = 57000 + 8 * random.SystemRandom().randrange(400)
    return first, first + 7


def shows_pattern(payload):
    """Whether the octets of PATTERN are in a payload, wherever they begin."""
    return any(payload[at : at + WINDOW] in KNOWN for at in range(len(payload) - WINDOW + 1))


def entropy(data):
    """Shannon's entropy of octets, in bits an octet."""
    return -sum(n / len(data) * math.log2(n / len(data)) for n in Counter(data).values())


@dataclass
class Seen:
    """What a capture has of a call's media: RTP that we sent and got, and all RTCP."""

    sent: list[bytes]
    received: list[bytes]
    control: list[bytes]

    @classmethod
    def of(cls, capture, ports):
        """Sort the datagrams of our ports."""
        capture.stop()
        ours = range(ports[0], ports[1] + 1)
        seen = cls([], [], [])
        for one in capture.on_ports(*ours):
            sent = seen.sent if one.source[1] in ours else seen.received
            (seen.control if is_rtcp(one.payload) else sent).append(one.payload)
        return seen

    def bodies(self, packets):
        """What follows the RTP header, of full frames; neither side uses extensions or CSRCs."""
        assert {packet[0] for packet in packets} == {0x80}
        return [packet[HEADER:] for packet in packets if len(packet) >= HEADER + FRAME]


async def whole_call(robot, line, level):
    """Call, talk both ways, send a digit, hold, resume, talk, and hang up."""
    async with line.dial(robot.uri()) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.security.level is level
        call.audio.play(PatternSource())
        assert await level_heard(call, TONE_HZ) > AUDIBLE_DBM0
        await call.send_digits("5")
        await call.hold()
        await call.resume()
        assert await level_heard(call, TONE_HZ) > AUDIBLE_DBM0
    await call.ended()
    await asyncio.to_thread(robot.wait_for, "CALL_CLOSED")


@pytest.mark.feature("no media in clear, by capture")
@pytest.mark.parametrize(
    ("suite", "tag"),
    [
        (CryptoSuite.AEAD_AES_256_GCM, 16),
        (CryptoSuite.AES_CM_128_HMAC_SHA1_80, 10),
        (CryptoSuite.AES_CM_128_HMAC_SHA1_32, 4),
    ],
    ids=["AEAD_AES_256_GCM", "AES_CM_128_80", "AES_CM_128_32"],
)
async def test_a_required_call_shows_nothing_in_clear(
    capture, baresip, authority, client_certificate, ports, suite, tag
):
    robot = await asyncio.to_thread(baresip, records=False)
    certificate = client_certificate("desk")
    config = direct_over_tls(
        "desk", authority.certificate, certificate, suites=(suite,), ports=ports
    )
    async with Phone() as phone:
        await whole_call(robot, await phone.register(config), SecurityLevel.ENCRYPTED)
    seen = Seen.of(capture, ports)
    ours, theirs = seen.bodies(seen.sent), seen.bodies(seen.received)
    assert len(ours) > 50
    assert len(theirs) > 50
    assert seen.control
    assert {len(body) for body in ours + theirs} == {FRAME + tag}
    for payload in (*seen.sent, *seen.received, *seen.control):
        assert not shows_pattern(payload)
        assert CNAME not in payload
    # The same frame over and over, and a steady tone, look like noise.
    assert len(set(ours)) == len(ours)
    assert entropy(b"".join(ours)) > 7.9
    assert entropy(b"".join(theirs)) > 7.9


@pytest.mark.feature("no media in clear, by capture")
async def test_the_same_call_without_srtp_shows_the_pattern_and_the_tone(
    capture, baresip, authority, client_certificate, ports
):
    robot = await asyncio.to_thread(baresip, records=False, encryption="")
    certificate = client_certificate("desk")
    config = direct_over_tls(
        "desk", authority.certificate, certificate, srtp=SrtpPolicy.OFF, ports=ports
    )
    async with Phone() as phone:
        await whole_call(robot, await phone.register(config), SecurityLevel.NOT_SECURE)
    seen = Seen.of(capture, ports)
    ours, theirs = seen.bodies(seen.sent), seen.bodies(seen.received)
    assert {len(body) for body in ours + theirs} == {FRAME}
    assert sum(map(shows_pattern, ours)) > 40
    assert len(set(ours)) < len(ours)
    assert any(CNAME in payload for payload in seen.control)
    assert entropy(b"".join(theirs)) < 7.0
