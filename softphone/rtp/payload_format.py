"""The interface of the video payload formats: a packetizer, a depacketizer and encoded frames.

`softphone.rtp.h264` (RFC 6184) and `softphone.rtp.vp8` (RFC 7741) implement it.  The caller puts
packets in order, detects gaps and keeps the time.
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
    """One coded picture: `data` is the codec's bitstream (H.264: Annex B).

    `key`: a key frame, which can be decoded without any other.  `complete`: no part is missing.
    """

    data: bytes
    key: bool
    complete: bool = True


class Packetizer(Protocol):
    """Cuts frames into payloads."""

    def packetize(self, data: bytes) -> list[bytes]:
        """Return the payloads of one encoded frame, in order; the last packet gets the marker."""


class Depacketizer(Protocol):
    """Joins payloads to frames; a malformed payload never raises."""

    def add_payload(self, payload: bytes, *, gap: bool = False) -> str | None:
        """Add the next payload; `gap`: packets are missing before it.

        Returns None, or the reason for rejecting the payload.  The frame is then incomplete.
        """

    def finish_frame(self, *, gap: bool = False) -> EncodedFrame | None:
        """Return the frame of the payloads added since the last one; `gap`: its end is missing.

        Returns None when the payloads make no frame.
        """
