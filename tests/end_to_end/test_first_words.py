"""The caller's first words and the ordered stream over real sockets, wherever media runs."""

from __future__ import annotations

import asyncio
import socket
import sys

import numpy as np
import pytest

from softphone import AccountConfig, ReceivedAudio
from softphone.events import CallAnswered, CallEnded, DigitReceived
from softphone.media import MediaConfig, Placement
from softphone.media.audio import ToneSource, tone_level
from softphone.phone import Phone
from softphone.security import SecurityLevel
from tests.support.waiting import PATIENCE, patiently, until

AUDIBLE_DBM0 = -25.0
RATE = 8000

placements = pytest.mark.parametrize(
    "placement",
    [
        Placement.INLINE,
        pytest.param(
            Placement.WORKER,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
        ),
    ],
)


def direct(name: str) -> AccountConfig:
    return AccountConfig(aor=f"sip:{name}@127.0.0.1", listen="udp:127.0.0.1:0")


async def connect(alice, target, bob, **options):
    """Alice calls Bob, who answers with these options; her tone begins as soon as she may."""

    async def answer():
        async for incoming in bob.incoming():
            return await incoming.answer(**options)

    answering = asyncio.create_task(answer())
    call = await alice.dial(target).answered(timeout=PATIENCE)
    call.audio.play(ToneSource(440.0))
    return call, await patiently(answering)


@placements
async def test_a_bot_that_is_late_to_listen_has_missed_nothing(placement):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        alice, bob = await phone.register(direct("alice")), await phone.register(direct("bob"))
        _, host, port = bob.listening
        _, other = await connect(alice, f"sip:bob@{host}:{port}", bob, keep=20.0)
        await until(lambda: other.audio.statistics.packets_received >= 50)  # a second
        other.audio.use_rates(read_hz=RATE)
        kept = []
        async with asyncio.timeout(PATIENCE):
            while sum(map(len, kept)) < 2 * RATE:
                kept.append(await other.audio.read())
        pcm = np.concatenate([each.pcm for each in kept])
        assert kept[0].timestamp < RATE / 2  # from the answer on, and not from the first read
        ends = [each.timestamp + len(each) for each in kept]
        assert [each.timestamp for each in kept[1:]] == ends[:-1]  # without a gap
        assert tone_level(pcm[RATE:], 440.0, RATE) > AUDIBLE_DBM0
        assert other.audio.unread_samples_dropped == 0


async def test_where_srtp_is_required_nothing_else_is_among_the_first_words(account_of):
    alice, bob = await account_of("alice"), await account_of("bob")
    _, other = await connect(alice, "bob", bob, keep=20.0)
    assert other.security.level is SecurityLevel.ENCRYPTED
    local = other._leg.stream
    loud = b"\x80" * 160  # as loud as PCMU can be
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(100):
            head = bytes([0x80, 0]) + (40000 + number).to_bytes(2, "big") + bytes(4) + b"fake"
            stranger.sendto(head + loud, (local.host, local.rtp_port))
    await until(lambda: other.audio.statistics.packets_received >= 50)
    seen = other.audio.statistics
    assert seen.authentication_failures + seen.malformed > 0
    heard = await patiently(other.audio.read(16000))
    assert np.abs(heard.pcm).max() < 20000


@placements
async def test_one_task_hears_and_is_told_in_order(placement):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        alice, bob = await phone.register(direct("alice")), await phone.register(direct("bob"))
        _, host, port = bob.listening
        call, other = await connect(alice, f"sip:bob@{host}:{port}", bob, keep=20.0)
        sound, told = 0, []
        async with asyncio.timeout(2 * PATIENCE):
            async for item in other.stream():
                if isinstance(item, ReceivedAudio):
                    sound += len(item)
                else:
                    told.append((type(item), sound))
                if isinstance(item, CallAnswered):
                    call.audio.send_digits("7")
                elif isinstance(item, DigitReceived):
                    call.hangup()
        kinds = [kind for kind, _ in told]
        assert kinds == [CallAnswered, DigitReceived, CallEnded]
        assert told[0][1] < told[1][1] <= told[2][1] <= sound
