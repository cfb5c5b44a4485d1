"""Over real sockets: forged, replayed and clear media, and RTCP BYE, during an encrypted call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest

from softphone.config import load_account
from softphone.events import CallEnded, CallState, DigitReceived, EndedBy
from softphone.lab import LabConfig, LabServer
from softphone.media.audio import PcmRing, tone_level
from softphone.media.engine.sockets import MediaSockets
from softphone.net.datagrams import decode_address
from softphone.phone import Phone
from tests.support.recorder import until
from tests.support.waiting import PATIENCE

HOST = "127.0.0.1"
ROUNDS = 10
AUDIBLE_DBM0 = -30.0
"""A tone with the gaps that a busy machine may make; silence is far below."""


@pytest.fixture
def wire(monkeypatch):
    """What an eavesdropper has: every media packet, and where it went."""
    seen = []
    send = MediaSockets.send_packets

    def tapped(self, start, stop):
        for at in range(start, stop):
            where = decode_address(self.outgoing.address[at].tobytes())
            seen.append((self.outgoing.packet(at), where))
        return send(self, start, stop)

    monkeypatch.setattr(MediaSockets, "send_packets", tapped)
    return seen


def attacks(packet):
    """Variations of one true SRTP packet."""
    ssrc = packet[8:12]
    yield packet  # replayed
    yield packet[:-1] + bytes([packet[-1] ^ 1])  # its tag is wrong
    yield packet[:2] + b"\xff\xff" + packet[4:]  # moves the sequence number
    yield packet[:12] + bytes(160)  # plain RTP
    yield packet[:1] + b"\x65" + packet[2:12] + b"\x01\x8a\x03\x20"  # telephone-event
    yield b"\x80\xc9\x00\x01" + ssrc + b"\x81\xcb\x00\x01" + ssrc  # RR and BYE in clear
    yield b"\x80\xc9\x00\x01" + ssrc + os.urandom(30)
    yield os.urandom(172)


def rejected(statistics):
    """How many packets were found to be no part of the stream."""
    return statistics.authentication_failures + statistics.replayed + statistics.wrong_source


async def level_heard(call):
    ring = PcmRing(8000, seconds=1.0)
    call.audio.record(ring)
    await ring.read_exactly(1600)
    heard = tone_level(await ring.read_exactly(2400), 440.0, 8000)
    call.audio.record(None)
    return heard


async def test_the_call_goes_on_with_its_keys_its_digits_and_its_sound(tmp_path, wire):
    async with LabServer(tmp_path, LabConfig()) as lab, Phone() as phone:
        account = await phone.register(load_account(lab.accounts["alice"]).config)
        call = await account.dial("601").answered(timeout=PATIENCE)
        security = call.security
        before = await level_heard(call)
        assert before > AUDIBLE_DBM0
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as attacker:
            attacker.bind((HOST, 0))
            for _ in range(ROUNDS):
                for packet, (host, port) in wire[-10:]:
                    for forged in attacks(packet):
                        attacker.sendto(forged, (host, port))
                        attacker.sendto(forged, (host, port ^ 1))
                await asyncio.sleep(0.02)
        assert await level_heard(call) > AUDIBLE_DBM0
        assert call.state is CallState.CONFIRMED
        assert call.security == security
        assert lab.calls == 1
        await until(lambda: rejected(call.audio.statistics))
        call.hangup()
        events = [event async for event in call.events()]
        assert not [event for event in events if isinstance(event, DigitReceived)]
        assert [event.by for event in events if isinstance(event, CallEnded)] == [EndedBy.LOCAL]
