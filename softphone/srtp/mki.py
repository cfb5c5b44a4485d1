"""Master key identifiers in packets (RFC 3711 section 3.1, RFC 4568 section 6.1).

A crypto line has only one key here, so the identifier is the same in every packet of a direction.
It stands before the authentication tag and is not authenticated, so that any backend's transform
works on the packet without it.  An AEAD suite has its tag in the ciphertext, and the identifier
last (RFC 7714 sections 8.2 and 9.2).
"""

from __future__ import annotations

from softphone.security import CryptoSuite
from softphone.srtp.backend import SrtpStatus, SrtpTransform


class MkiTransform:
    """A transform whose packets carry the identifier `mki`; others do not authenticate."""

    handle: None = None

    def __init__(self, transform: SrtpTransform, suite: CryptoSuite, mki: bytes) -> None:
        self._transform = transform
        self._mki = mki
        self._rtp_tag = 0 if suite.aead else suite.rtp_tag_length
        self._rtcp_tag = 0 if suite.aead else suite.rtcp_tag_length

    def _insert(
        self, outcome: tuple[SrtpStatus, bytes], tag_length: int
    ) -> tuple[SrtpStatus, bytes]:
        status, packet = outcome
        if status:
            return outcome
        end = len(packet) - tag_length
        return status, packet[:end] + self._mki + packet[end:]

    def _remove(self, packet: bytes, tag_length: int) -> bytes | None:
        """The packet without the identifier; None if it carries another one, or none."""
        end = len(packet) - tag_length
        start = end - len(self._mki)
        if start < 0 or packet[start:end] != self._mki:
            return None
        return packet[:start] + packet[end:]

    def protect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTP to SRTP."""
        return self._insert(self._transform.protect(packet), self._rtp_tag)

    def protect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTCP to SRTCP."""
        return self._insert(self._transform.protect_rtcp(packet), self._rtcp_tag)

    def unprotect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTP to RTP."""
        bare = self._remove(packet, self._rtp_tag)
        if bare is None:
            return SrtpStatus.AUTHENTICATION_FAILED, b""
        return self._transform.unprotect(bare)

    def unprotect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTCP to RTCP."""
        bare = self._remove(packet, self._rtcp_tag)
        if bare is None:
            return SrtpStatus.AUTHENTICATION_FAILED, b""
        return self._transform.unprotect_rtcp(bare)

    def roc(self, ssrc: int) -> int | None:
        """The rollover counter of a source that was heard or set; None for any other."""
        return self._transform.roc(ssrc)

    def set_roc(self, ssrc: int, roc: int) -> bool:
        """Set the rollover counter of the next packet of `ssrc`; False if that is not possible."""
        return self._transform.set_roc(ssrc, roc)

    def close(self) -> None:
        """Drop the keys; every later call returns SrtpStatus.CLOSED."""
        self._transform.close()
