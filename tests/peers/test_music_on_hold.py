"""Music on hold from an Asterisk that makes the offer: the far end hears it directly (RFC 7088)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from softphone.call import Call
from softphone.call.leg import music_on_hold
from softphone.events import Direction, MusicOnHoldFailed
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import CryptoSuite, SrtpPolicy
from tests.peers.asterisk.pbx import HOLD_MUSIC_HZ
from tests.peers.phones import Wire, direct_over_tls, hears_soon, next_event
from tests.support.calling import answer_one
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE, patiently, stands_still, until

pytestmark = [pytest.mark.peer("asterisk"), pytest.mark.feature("music on hold (RFC 7088)")]
TALK_HZ, OTHER_HZ = 660.0, 520.0
MUSIC = "605"
ELSEWHERE = "127.0.0.2"
"""Our host in clear: a far end tells the source from us by its address."""


@dataclass
class Held:
    """Bob calls us, without a server, and our music is at Asterisk; `wire` has our messages."""

    call: Call
    other: Call
    wire: Wire

    @property
    def to_source(self):
        """The INVITE to Asterisk, None if there was none."""
        return next((one for one in self.wire.sent("INVITE") if f":{MUSIC}@" in one), None)

    @property
    def relayed(self):
        """The streams that we offered in re-INVITEs to Bob."""
        return {stream_of(one) for one in self.wire.sent("INVITE") if one != self.to_source}

    def source_says(self, start, method, *, ours=False):
        """Return the messages of our call to Asterisk that begin so, with the method in CSeq.

        One that was retransmitted is there once.
        """
        found = self.wire.sent(start) if ours else self.wire.received(start)
        call = field(self.to_source, "Call-ID")
        return {
            one
            for one in found
            if field(one, "Call-ID") == call and field(one, "CSeq").endswith(f" {method}")
        }


def field(message, name):
    """Return the value of a header field."""
    prefix = f"{name}: "
    lines = message.partition("\r\n\r\n")[0].split("\r\n")
    return next(line[len(prefix) :] for line in lines if line.startswith(prefix))


def stream_of(message):
    """Return port, profile, keys and direction of the m-line of a message."""
    lines = message.partition("\r\n\r\n")[2].splitlines()
    ((port, profile),) = [line.split()[1:3] for line in lines if line.startswith("m=")]
    keys = frozenset(line.partition(" inline:")[2] for line in lines if "a=crypto:" in line)
    directions = {one.value for one in Direction}
    (direction,) = [line[2:] for line in lines if line[2:] in directions]
    return int(port), profile, keys, direction


@pytest.fixture
async def held_call(asterisk, authority, client_certificate, monkeypatch):
    """`await held_call(user, srtp)`: a call that is up; Asterisk knows us as its `user`."""
    # A busy machine may let Asterisk wait for its turn: how long it takes is not judged here.
    monkeypatch.setattr(music_on_hold, "OFFER_PATIENCE", PATIENCE)
    wire = Wire()
    async with Phone(tap=wire) as ours, Phone() as bobs:

        async def connect(user, srtp):
            if srtp is SrtpPolicy.OFF:
                own, far = clear(user, srtp, host=ELSEWHERE), clear("bob", srtp)
                source = f"sip:{MUSIC}@127.0.0.1:{asterisk.udp[1]}"
            else:
                ca = authority.certificate
                own = direct_over_tls(user, ca, client_certificate(user), srtp=srtp)
                far = direct_over_tls("bob", ca, client_certificate("bob"), srtp=srtp)
                source = f"sips:{MUSIC}@127.0.0.1:{asterisk.tls[1]}"
            line = await ours.register(replace(own, music_on_hold=source))
            bob = await bobs.register(far)
            answering = asyncio.create_task(answer_one(line))
            other = await bob.dial(address_of(line)).answered(timeout=PATIENCE)
            return Held(await patiently(answering), other, wire)

        yield connect


@pytest.mark.parametrize(
    ("user", "srtp", "profile"),
    [("sdes", SrtpPolicy.REQUIRED, "RTP/SAVP"), ("plain", SrtpPolicy.OFF, "RTP/AVP")],
)
async def test_the_far_end_hears_the_music_of_asterisk_and_then_us_again(
    asterisk, held_call, user, srtp, profile
):
    held = await held_call(user, srtp)
    call, other = held.call, held.other
    call.audio.play(ToneSource(TALK_HZ))
    assert await hears_soon(other, TALK_HZ, within=PATIENCE)
    own = call.security
    await patiently(call.hold())
    assert call.held
    assert call.audio.direction is Direction.INACTIVE
    assert await hears_soon(other, HOLD_MUSIC_HZ, within=PATIENCE)
    # Packets of ours that were under way when Bob took the other keys may have failed there.
    await stands_still(
        lambda: (
            call.audio.statistics.packets_sent,
            other.audio.statistics.authentication_failures,
        ),
        lambda: other.audio.statistics.packets_received,
        ticks=25,
    )
    # Asterisk's offer, with its keys, is what the far end got; its answer went back in the ACK.
    assert field(held.to_source, "Content-Length") == "0"
    (offered,) = map(stream_of, held.source_says("SIP/2.0 200", "INVITE"))
    port, offers, keys, direction = offered
    assert asterisk.ports["rtp_first"] <= port <= asterisk.ports["rtp_last"]
    assert (offers, direction) == (profile, "sendrecv")
    assert len(keys) == (srtp is SrtpPolicy.REQUIRED)
    assert held.relayed == {(port, profile, keys, "sendonly")}
    (answered,) = map(stream_of, held.source_says("ACK", "ACK", ours=True))
    assert answered[1::2] == (profile, "recvonly")
    assert len(answered[2]) == len(keys)
    assert answered[2].isdisjoint(keys)
    assert call.security.by_word
    assert call.security.media[0].suite is (CryptoSuite.AES_CM_128_HMAC_SHA1_80 if keys else None)
    await patiently(call.resume())
    await until(lambda: held.source_says("SIP/2.0 200", "BYE"))
    assert await hears_soon(other, TALK_HZ, within=PATIENCE)
    other.audio.play(ToneSource(OTHER_HZ))
    assert await hears_soon(call, OTHER_HZ, within=PATIENCE)
    # Bob may stay with the suite of the music; both of us allow it.
    assert call.security.shortfalls == own.shortfalls
    assert (call.security.level, call.security.lock) == (own.level, own.lock)
    assert not call.security.by_word
    call.hangup()


async def test_a_source_in_clear_is_left_and_the_hold_is_without_music(held_call):
    held = await held_call("plain", SrtpPolicy.REQUIRED)
    call, other = held.call, held.other
    call.audio.play(ToneSource(TALK_HZ))
    own = call.security
    await patiently(call.hold())
    failed = await next_event(call, MusicOnHoldFailed, within=PATIENCE)
    assert "RTP/AVP" in failed.reason
    assert call.audio.direction is Direction.SENDONLY
    assert call.security == own
    await until(lambda: held.source_says("SIP/2.0 200", "BYE"))
    assert await hears_soon(other, TALK_HZ, within=PATIENCE)
    # Nothing of the source's offer went to the far end.
    (offered,) = map(stream_of, held.source_says("SIP/2.0 200", "INVITE"))
    ((port, profile, _, direction),) = held.relayed
    assert (profile, direction) == ("RTP/SAVP", "sendonly")
    assert port != offered[0]
    call.hangup()
