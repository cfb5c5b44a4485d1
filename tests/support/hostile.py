"""Hostile traffic at a phone: malformed SIP, and datagrams sent to its media addresses."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from softphone.sans_io import Address, Flow
from tests.fuzz.mutation import SPLICES
from tests.fuzz.sip_target import CORPUS

DTLS_CLIENT_HELLO = bytes.fromhex("16fefd0000000000000000003a0100002e000000000000002e")
STUN_BINDING = bytes.fromhex("000100082112a442")


class Eavesdropper:
    """A tap that keeps the last genuine packet to each address, as an on-path attacker could."""

    def __init__(self) -> None:
        self.packets: dict[Address, bytes] = {}

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Ignore SIP, which goes over TLS."""

    def datagram(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """Media, as it is on the wire."""
        if outgoing:
            self.packets[remote] = data
        elif remote in self.packets and len(data) > 100:
            self.packets[local] = data


def malformed(count: int, *, seed: int = 1) -> Iterator[bytes]:
    """RFC 4475's messages, each broken in another way every time."""
    rng = random.Random(seed)
    for number in range(count):
        data = CORPUS[number % len(CORPUS)]
        for _ in range(1 + number % 3):
            at = rng.randrange(len(data) + 1)
            data = data[:at] + rng.choice(SPLICES) + data[at + rng.randrange(9) :]
        yield data[: rng.randrange(1, len(data) + 1)] if number % 5 == 0 else data


def variations(packet: bytes, *, seed: int = 1) -> list[bytes]:
    """Datagrams made of one true SRTP packet: none of them may be taken for the call's."""
    rng = random.Random(seed)
    ssrc = packet[8:12]
    return [
        packet,  # replayed
        packet[:-1] + bytes([packet[-1] ^ 1]),
        packet[:2] + b"\xff\xff" + packet[4:],
        packet[:12] + bytes(160),  # plain RTP
        packet[:8] + rng.randbytes(4) + packet[12:],  # another source
        packet[:1] + b"\x65" + packet[2:12] + b"\x01\x8a\x03\x20",  # a digit
        b"\x80\xc9\x00\x01" + ssrc + b"\x81\xcb\x00\x01" + ssrc,  # BYE in clear
        b"\x80\xc9\x00\x01" + ssrc + rng.randbytes(30),
        STUN_BINDING + rng.randbytes(12) + struct.pack("!HHI", 0x0024, 4, 1),
        DTLS_CLIENT_HELLO + rng.randbytes(46),
        rng.randbytes(172),
        b"",
    ]
