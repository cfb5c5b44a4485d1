"""RTP and RTCP packets, and keys, for tests of SRTP."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from softphone.security import CryptoSuite, KeyMaterial

SSRC = 0xCAFEBABE
VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "srtp" / "vectors.json").read_text(encoding="utf-8")
)


def vector(name: str) -> dict[str, bytes]:
    """One entry of the vectors file, its hexadecimal fields as bytes."""
    entry = VECTORS[name]
    return {key: bytes.fromhex(v) for key, v in entry.items() if key not in ("note", "roc")}


def key(suite: CryptoSuite, first: int = 0) -> KeyMaterial:
    """Key and salt of the right length: consecutive bytes from `first`."""
    length = suite.material_length
    return KeyMaterial(bytes((first + index) % 256 for index in range(length)))


def rtp(sequence: int, *, ssrc: int = SSRC, payload: bytes = b"x" * 160) -> bytes:
    """An RTP packet; sequence numbers above 65535 wrap."""
    head = struct.pack(">BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFF_FFFF, ssrc)
    return head + payload


def rtcp(*, ssrc: int = SSRC, body: bytes = b"y" * 20) -> bytes:
    """A sender report of whole words."""
    return struct.pack(">BBHI", 0x80, 200, (8 + len(body)) // 4 - 1, ssrc) + body
