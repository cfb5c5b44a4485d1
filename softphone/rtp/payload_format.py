"""What RTP payload formats of video have in common: a frame, its packets' payloads, and back.

RFC 6184 (`softphone.rtp.h264`) and RFC 7741 (`softphone.rtp.vp8`) implement it.  Order, gaps and
time are the caller's: payloads of one frame are handed in in sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

LARGEST_FRAME = 4 << 20
"""Octets that one encoded frame may have; a depacketizer holds no more."""

LARGEST_PAYLOAD = 1150
"""Octets of one payload, so that RTP, SRTP, UDP and IPv6 headers fit into 1,280 octets."""

MOST_PARTS = 8192
"""Payloads that one frame, or one NAL unit, may be cut into."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One picture as it is coded: `data` is the codec's own bitstream (H.264: Annex B).

    `key` says that it can be decoded without any other; `complete` that no part of it is missing.
    """

    data: bytes
    key: bool
    complete: bool = True


class Packetizer(Protocol):
    """Cuts frames into payloads."""

    def packetize(self, data: bytes) -> list[bytes]:
        """The payloads of one encoded frame, in order; the last one's packet has the marker."""


class Depacketizer(Protocol):
    """Joins payloads to frames; hostile ones never raise."""

    def add_payload(self, payload: bytes, *, gap: bool = False) -> str | None:
        """Take the next payload; `gap` says that packets are missing before it.

        Gives the reason for which it was rejected, or None.  What is rejected leaves the frame
        incomplete.
        """

    def finish_frame(self, *, gap: bool = False) -> EncodedFrame | None:
        """The frame of what was taken since the last one ended; `gap`: its end is missing.

        None when there is nothing of it.
        """
