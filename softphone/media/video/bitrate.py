"""Controls the bit rate of a video encoder.

The limit is the lowest of the application's bit rate, the far end's `b=` line (RFC 8866 section
5.8, RFC 3890) and its TMMBR (RFC 5104 section 4.2.1).  Below the limit, reported losses (RFC 3550)
reduce the bit rate, and their absence raises it again.
"""

from __future__ import annotations

from softphone.rtp import BitrateLimit

LEAST = 32_000
"""Losses do not reduce the bit rate below this (bits/s); a lower limit holds, and 0 is a pause."""
HEADERS = 40
"""Octets of IPv4, UDP and RTP headers, which a session's limit includes, an encoder's does not."""
PACKET_OCTETS = 1000
MUCH, LITTLE = 0.10, 0.02
"""The shares of loss above which the bit rate falls, and below which it recovers."""


class BitrateControl:
    """The limits of one encoder; `wanted` and `session` are in bits/s, `session` None: no limit."""

    def __init__(self, wanted: int, session: int | None = None) -> None:
        self._wanted = wanted
        self._session = session
        self._asked: BitrateLimit | None = None
        self._share = 1.0

    @property
    def limit(self) -> int:
        """The limit in bits/s, without headers; 0 is a pause."""
        limits = [self._wanted]
        if self._session is not None:
            limits.append(_without_headers(self._session, HEADERS))
        if self._asked is not None:
            limits.append(_without_headers(self._asked.bitrate, self._asked.overhead))
        return min(limits)

    @property
    def bitrate(self) -> int:
        """The bit rate for the encoder in bits/s; 0 is a pause."""
        limit = self.limit
        return 0 if limit == 0 else max(min(LEAST, limit), int(limit * self._share))

    def set_limits(self, wanted: int | None = None, session: int | None = None) -> None:
        """Set the application's limit (None: keep it) and the session's limit (None: no limit)."""
        self._wanted = self._wanted if wanted is None else wanted
        self._session = session

    def apply_tmmbr(self, limit: BitrateLimit) -> BitrateLimit:
        """Apply a TMMBR; return the limit for the TMMBN, with the SSRC that asked for it."""
        self._asked = limit
        return limit

    def apply_loss_report(self, fraction_lost: float) -> None:
        """Apply the fraction lost of a report block, 0.0 to 1.0."""
        if fraction_lost > MUCH:
            self._share = max(0.1, self._share * (1.0 - fraction_lost / 2.0))
        elif fraction_lost < LITTLE:
            self._share = min(1.0, self._share * 1.08)


def _without_headers(bitrate: int, overhead: int) -> int:
    return bitrate * PACKET_OCTETS // (PACKET_OCTETS + overhead)
