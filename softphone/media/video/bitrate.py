"""How many bits a second a video encoder may produce.

The least of what the application wants, what the far end's `b=` line allows (RFC 8866 section
5.8, RFC 3890), and what it asks by TMMBR (RFC 5104 section 4.2.1); below that, losses that it
reports (RFC 3550) slow the encoder down, and their absence lets it recover.
"""

from __future__ import annotations

from softphone.rtp import BitrateLimit

LEAST = 32_000
"""Bits a second below which no picture is worth it; a limit of 0 (RFC 5104) still stops us."""
HEADERS = 40
"""Octets of IPv4, UDP and RTP, which a session's limit counts and an encoder's does not."""
PACKET_OCTETS = 1000
MUCH, LITTLE = 0.10, 0.02
"""Shares of loss that slow down, and that let recover."""


class BitrateControl:
    """The limits of one encoder; `wanted` and `session` in bits a second, None: not limited."""

    def __init__(self, wanted: int, session: int | None = None) -> None:
        self._wanted = wanted
        self._session = session
        self._asked: BitrateLimit | None = None
        self._share = 1.0

    @property
    def limit(self) -> int:
        """The most that may be sent, headers not counted; 0 is a pause."""
        limits = [self._wanted]
        if self._session is not None:
            limits.append(_without_headers(self._session, HEADERS))
        if self._asked is not None:
            limits.append(_without_headers(self._asked.bitrate, self._asked.overhead))
        return min(limits)

    @property
    def bitrate(self) -> int:
        """What the encoder is to produce; 0 is a pause."""
        limit = self.limit
        return 0 if limit == 0 else max(min(LEAST, limit), int(limit * self._share))

    def set_limits(self, wanted: int | None = None, session: int | None = None) -> None:
        """A new session description, or another wish; a session may also lose its limit."""
        self._wanted = self._wanted if wanted is None else wanted
        self._session = session

    def apply_tmmbr(self, limit: BitrateLimit) -> BitrateLimit:
        """Take a TMMBR; gives the limit to notify (TMMBN), with the SSRC of who asked for it."""
        self._asked = limit
        return limit

    def apply_loss_report(self, fraction_lost: float) -> None:
        """Take what a report block says, 0.0 to 1.0."""
        if fraction_lost > MUCH:
            self._share = max(0.1, self._share * (1.0 - fraction_lost / 2.0))
        elif fraction_lost < LITTLE:
            self._share = min(1.0, self._share * 1.08)


def _without_headers(bitrate: int, overhead: int) -> int:
    return bitrate * PACKET_OCTETS // (PACKET_OCTETS + overhead)
