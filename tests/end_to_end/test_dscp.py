"""What a call's packets are marked with (RFC 2474), as a capture on loopback sees it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from softphone import AccountConfig, Phone, ToneSource
from softphone.config import DscpConfig

CS3, CS5, EF, AF31 = 24, 40, 46, 26
HEADERS = {socket.IPPROTO_UDP: 8, socket.IPPROTO_TCP: 0}
MEDIA = re.compile(rb"m=audio ([0-9]+)")


@dataclass(frozen=True)
class Packet:
    """One packet of UDP or TCP, with the code point of its IP header."""

    code_point: int
    source: int
    payload: bytes


class Capture:
    """All that passes on loopback."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def packets(self) -> Iterator[Packet]:
        """What has passed so far."""
        while True:
            try:
                frame, (_, _, kind, *_) = self._socket.recvfrom(65535)
            except BlockingIOError:
                return
            packet = frame[14:]
            head = (packet[0] & 0x0F) * 4
            above = packet[head:]
            if kind == socket.PACKET_OUTGOING or packet[9] not in HEADERS:
                continue
            length = HEADERS[packet[9]] or (above[12] >> 4) * 4
            yield Packet(packet[1] >> 2, int.from_bytes(above[:2], "big"), above[length:])


@pytest.fixture
def capture() -> Iterator[Capture]:
    if not hasattr(socket, "AF_PACKET"):
        pytest.skip("this system has no AF_PACKET")
    try:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    except PermissionError:
        pytest.skip("a capture needs root or CAP_NET_RAW")
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        opened.setblocking(False)
        opened.bind(("lo", 0x0800))
        yield Capture(opened)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_voice_and_signaling_leave_with_the_marks_of_their_account(capture, transport):
    marks = {"alice": DscpConfig(), "bob": DscpConfig(audio="AF31", signaling="CS5")}
    async with Phone() as phone:
        alice, bob = [
            await phone.register(
                AccountConfig(f"sip:{name}@127.0.0.1", listen=f"{transport}:127.0.0.1:0", dscp=dscp)
            )
            for name, dscp in marks.items()
        ]

        async def answer():
            return await (await anext(bob.incoming())).answer()

        answering = asyncio.create_task(answer())
        _, host, port = bob.listening
        outgoing = alice.dial(f"sip:bob@{host}:{port};transport={transport}")
        call, other = await outgoing.answered(timeout=20), await answering
        for each in (call, other):
            each.audio.play(ToneSource(440.0))
            each.audio.use_rates(read_hz=8000)
            await each.audio.read(1600)
        call.hangup()
        await other.ended()
    seen = list(capture.packets())
    ours = [each for each in seen if b"SIP/2.0" in each.payload[:2000] and each.payload]
    from_bob = [each for each in ours if each.source == port]
    invite = next(each for each in ours if each.payload.startswith(b"INVITE sip:bob@"))
    from_alice = [each for each in ours if each.source == invite.source]
    assert {each.code_point for each in from_alice} == {CS3}
    assert {each.code_point for each in from_bob} == {CS5}
    accepted = next(each for each in from_bob if MEDIA.search(each.payload))
    for described, mark in ((invite, EF), (accepted, AF31)):
        rtp = int(MEDIA.search(described.payload)[1])
        voice = [each for each in seen if each.source in (rtp, rtp + 1)]
        assert len(voice) > 5
        assert {each.code_point for each in voice} == {mark}
