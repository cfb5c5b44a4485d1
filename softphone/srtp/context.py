"""Cryptographic contexts (RFC 3711 section 3.2), one for each direction and master key.

`SendContext` and `ReceiveContext` choose the backend, count failures by cause, limit the number
of sources, and find the rollover counter after a new remote key.  Bytes from the network never
raise.  A context must not be shared between threads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from softphone import openssl_provider
from softphone.errors import ConfigurationError, FipsForbidden
from softphone.sans_io import Entropy
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import libsrtp_backend
from softphone.srtp.backend import SrtpBackend, SrtpStatus, SrtpTransform
from softphone.srtp.cryptography_backend import CryptographyTransform
from softphone.srtp.mki import MkiTransform

FIRST_SEQUENCE_LIMIT = 1 << 15
"""Bound of a sender's first sequence number (RFC 3711 section 3.3.1).

A higher one could wrap while the first packets are lost; the receiver would then guess a wrong
rollover counter for good.
"""

MAXIMUM_SOURCES = 64
"""SSRCs accepted under one key; each has its own replay window."""

_SSRC_STEP = 1 << 16

_RTP_HEADER = 12
_RTCP_HEADER = 8
_SRTCP_INDEX = 4

_FIELDS = {
    SrtpStatus.AUTHENTICATION_FAILED: "authentication",
    SrtpStatus.REPLAYED: "replayed",
    SrtpStatus.TOO_OLD: "replayed",
    SrtpStatus.MALFORMED: "malformed",
    SrtpStatus.TOO_LONG: "malformed",
    SrtpStatus.TOO_MANY_SOURCES: "sources",
    SrtpStatus.KEY_EXPIRED: "expired",
}


@dataclass(slots=True)
class FailureCounts:
    """Packets that were dropped, by cause."""

    authentication: int = 0
    replayed: int = 0
    malformed: int = 0
    sources: int = 0
    expired: int = 0
    other: int = 0

    def count_status(self, status: SrtpStatus) -> None:
        """Count one verdict; SrtpStatus.OK counts nothing."""
        if status:
            name = _FIELDS.get(status, "other")
            setattr(self, name, getattr(self, name) + 1)

    def add(self, other: FailureCounts) -> None:
        """Add what another context has counted."""
        self.authentication += other.authentication
        self.replayed += other.replayed
        self.malformed += other.malformed
        self.sources += other.sources
        self.expired += other.expired
        self.other += other.other


def first_sequence(entropy: Entropy) -> int:
    """A random initial sequence number below `FIRST_SEQUENCE_LIMIT`."""
    return int.from_bytes(entropy(2), "big") % FIRST_SEQUENCE_LIMIT


def next_ssrc(ssrc: int, entropy: Entropy) -> int:
    """The SSRC that replaces `ssrc`; every new send context of a stream needs one.

    Key, SSRC and index make the nonce (RFC 3711 section 4.1.1, RFC 7714 section 8.1), and a new
    context counts its index from 0 again, so that an SSRC kept under the same key would repeat
    nonces.  The first SSRC of a stream is random; each later one is larger by a random 1 to 2^16.
    None can come back within 65,536 changes, which random numbers do not guarantee.
    """
    step = 1 + int.from_bytes(entropy(2), "big") % _SSRC_STEP
    return (ssrc + step) % (1 << 32) or 1


def default_backend() -> SrtpBackend:
    """The backend of this process: `cryptography` in FIPS mode, else libsrtp."""
    return SrtpBackend.CRYPTOGRAPHY if openssl_provider.fips_in_force() else SrtpBackend.LIBSRTP


def _transform(
    suite: CryptoSuite, key: KeyMaterial, backend: SrtpBackend | None, *, sending: bool
) -> SrtpTransform:
    expected = suite.material_length
    if len(key) != expected:
        raise ConfigurationError(f"{suite} takes {expected} bytes of key and salt, not {len(key)}")
    if backend is None:
        backend = default_backend()
    elif backend is SrtpBackend.LIBSRTP and openssl_provider.fips_in_force():
        raise FipsForbidden("libsrtp brings cryptography of its own: in FIPS mode it is not used")
    if backend is SrtpBackend.CRYPTOGRAPHY or not libsrtp_backend.supports_suite(suite):
        return CryptographyTransform(suite, key.reveal())
    return libsrtp_backend.make_transform(suite, key.reveal(), sending=sending)


def _source(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at : at + 4], "big")


class SendContext:
    """Protects what we send under one key.  Packets are RTP or RTCP (RFC 3550).

    `mki` is the master key identifier that every packet is to carry; b"" for none.
    With `backend` None the process's mode decides (`default_backend`).  A suite that the installed
    libsrtp cannot be used for is done by the other backend.

    Raises ConfigurationError when `key` does not have the length that `suite` demands, and
    FipsForbidden for libsrtp in FIPS mode.
    """

    __slots__ = ("_transform", "failures", "handle", "suite")

    last_ssrc_word = -1

    def __init__(
        self,
        suite: CryptoSuite,
        key: KeyMaterial,
        *,
        backend: SrtpBackend | None = None,
        mki: bytes = b"",
    ) -> None:
        self.suite = suite
        self.failures = FailureCounts()
        bare = _transform(suite, key, backend, sending=True)
        self._transform = MkiTransform(bare, suite, mki) if mki else bare
        self.handle: Any = getattr(self._transform, "handle", None)

    def count_failure(self, status: SrtpStatus) -> None:
        """Count a packet that the backend refused."""
        self.failures.count_status(status)

    def process_packet(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """Protect an RTP packet; return the verdict and the SRTP.  Counts a failure."""
        return self._counted(self._transform.protect(packet))

    def _counted(self, outcome: tuple[SrtpStatus, bytes]) -> tuple[SrtpStatus, bytes]:
        if outcome[0]:
            self.failures.count_status(outcome[0])
        return outcome

    def protect(self, packet: bytes) -> bytes | None:
        """The SRTP of an RTP packet; None when refused (a repeated index, an expired key)."""
        status, result = self.process_packet(packet)
        return None if status else result

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """The SRTCP of a compound RTCP packet; None when it was refused."""
        status, result = self._counted(self._transform.protect_rtcp(packet))
        return None if status else result

    def roc(self, ssrc: int) -> int | None:
        """The rollover counter of a source that has sent; None if the backend cannot read it."""
        return self._transform.roc(ssrc)

    def close(self) -> None:
        """Drop the keys; later packets are refused."""
        self.handle = None
        self._transform.close()


class ReceiveContext:
    """Authenticates and decrypts what the remote sends under one key, from any SSRC.

    `rollover` holds the counters of the sources heard under the previous key (`rollover()` of the
    old context).  RFC 3711 section 3.3.1 keeps the counter over a re-key, RFC 4568 section 7.1.4
    starts a new one, and peers do either.  The first packets of such a source are therefore tried
    with the old counter, with 0, and with the old one plus 1 (it may just have wrapped); the first
    counter that authenticates is kept.
    A packet has to carry the master key identifier of `expect_mki`, at first none.
    `newest` holds the highest authenticated sequence number of each SSRC, as given to `note_rtp`.
    With `backend` None the process's mode decides (`default_backend`).

    Raises ConfigurationError when `key` does not have the length that `suite` demands, and
    FipsForbidden for libsrtp in FIPS mode.
    """

    __slots__ = (
        "_bare",
        "_candidates",
        "_known_sources",
        "_mki",
        "_newest_rtcp",
        "_transform",
        "failures",
        "handle",
        "last_ssrc_word",
        "newest",
        "suite",
    )

    def __init__(
        self,
        suite: CryptoSuite,
        key: KeyMaterial,
        *,
        backend: SrtpBackend | None = None,
        rollover: Mapping[int, int] | None = None,
    ) -> None:
        if rollover and not libsrtp_backend.rollover_settable():
            backend = SrtpBackend.CRYPTOGRAPHY
        self.suite = suite
        self.failures = FailureCounts()
        self._bare = _transform(suite, key, backend, sending=False)
        self.expect_mki(b"")
        self.last_ssrc_word = -1
        self._known_sources: tuple[int, ...] = ()
        self.newest: dict[int, int] = {}
        self._newest_rtcp: dict[int, int] = {}
        self._candidates: dict[int, tuple[int, ...]] = {}
        for ssrc, roc in list((rollover or {}).items())[-MAXIMUM_SOURCES:]:
            self._expect_counter(ssrc, roc, 0, roc + 1)

    def expect_mki(self, mki: bytes) -> None:
        """Take only packets with this master key identifier from now on; b"" is none.

        It belongs to the far end's crypto line, which may change while the key stays.
        """
        self._mki = mki
        self._transform: SrtpTransform = (
            MkiTransform(self._bare, self.suite, mki) if mki else self._bare
        )
        self.handle: Any = getattr(self._transform, "handle", None)

    def _expect_counter(self, ssrc: int, *counters: int) -> None:
        """Try these rollover counters for the next packets of a source, in order, each once."""
        self._candidates[ssrc] = tuple(dict.fromkeys(roc & 0xFFFF_FFFF for roc in counters))

    def count_failure(self, status: SrtpStatus) -> None:
        """Count a packet that was dropped."""
        self.failures.count_status(status)

    def process_packet(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """Unprotect an SRTP packet; return the verdict and the RTP.  Counts a failure."""
        status, result = self._unprotect(packet)
        self.failures.count_status(status)
        return status, result

    def _unprotect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        if len(packet) < _RTP_HEADER + len(self._mki) + self.suite.rtp_tag_length:
            return SrtpStatus.MALFORMED, b""
        ssrc = _source(packet, 8)
        if ssrc in self._candidates:
            status, result = self._try_rollover_counters(ssrc, packet)
        elif self._full(ssrc):
            return SrtpStatus.TOO_MANY_SOURCES, b""
        else:
            status, result = self._transform.unprotect(packet)
        if status is SrtpStatus.OK:
            self._note_source(ssrc)
            self.last_ssrc_word = int.from_bytes(packet[8:12], sys.byteorder)
        return status, result

    @property
    def unheard(self) -> bool:
        """Whether no packet has authenticated, and none of a known rollover counter is expected."""
        return not (self._known_sources or self._candidates or self.newest)

    def hear_source(self, ssrc: int) -> None:
        """Note the source of a packet that libsrtp has authenticated by `handle`."""
        self._note_source(ssrc)
        self.last_ssrc_word = int.from_bytes(ssrc.to_bytes(4, "big"), sys.byteorder)

    def _note_source(self, ssrc: int) -> None:
        if ssrc not in self._known_sources:
            self._known_sources = (*self._known_sources, ssrc)

    def _full(self, ssrc: int) -> bool:
        return len(self._known_sources) >= MAXIMUM_SOURCES and ssrc not in self._known_sources

    def _try_rollover_counters(self, ssrc: int, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """Try the candidate rollover counters; keep the one that authenticates."""
        status = SrtpStatus.FAILED
        for roc in self._candidates[ssrc]:
            self._transform.set_roc(ssrc, roc)
            status, result = self._transform.unprotect(packet)
            if status is SrtpStatus.OK:
                del self._candidates[ssrc]
                return status, result
        return status, b""

    def unprotect(self, packet: bytes) -> bytes | None:
        """The RTP packet, or None after counting the cause in `failures`.  Never raises."""
        status, result = self.process_packet(packet)
        return None if status else result

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """The RTCP packet, or None after counting the cause in `failures`.  Never raises."""
        status, result = self._unprotect_rtcp(packet)
        self.failures.count_status(status)
        return None if status else result

    def _unprotect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        shortest = _RTCP_HEADER + _SRTCP_INDEX + len(self._mki) + self.suite.rtcp_tag_length
        if len(packet) < shortest:
            return SrtpStatus.MALFORMED, b""
        ssrc = _source(packet, 4)
        if self._full(ssrc):
            return SrtpStatus.TOO_MANY_SOURCES, b""
        status, result = self._transform.unprotect_rtcp(packet)
        if status is SrtpStatus.OK:
            self._note_source(ssrc)
        return status, result

    def note_rtp(self, ssrc: int, sequence: int) -> bool:
        """Note an authenticated RTP packet; True if it is the newest of its SSRC under this key.

        Returns False for the first packet of an SSRC, because its delay is unknown.  16 bits are
        enough to compare: a packet authenticates only if its index is the one nearest to the
        highest (RFC 3711 section 3.3.1).
        """
        newest = self.newest.get(ssrc)
        if newest is not None and not 0 < (sequence - newest) & 0xFFFF < 0x8000:
            return False
        self.newest[ssrc] = sequence
        return newest is not None

    def note_rtcp(self, packet: bytes) -> bool:
        """Do the same for an SRTCP packet as received, by its own index (RFC 3711 section 3.4)."""
        tag = 0 if self.suite.aead else self.suite.rtcp_tag_length
        end = len(packet) - tag - len(self._mki)
        index = int.from_bytes(packet[end - _SRTCP_INDEX : end], "big") & 0x7FFF_FFFF
        ssrc = _source(packet, 4)
        newest = self._newest_rtcp.get(ssrc)
        if newest is not None and index <= newest:
            return False
        self._newest_rtcp[ssrc] = index
        return newest is not None

    def resume(self, rollover: Mapping[int, int]) -> None:
        """Put the key in force again, after another key that left the counters `rollover`.

        The replay windows are kept.  A source that was heard under both keys may go on with either
        counter: its next packets are tried with the candidates, as in a new context.
        """
        for ssrc, roc in list(rollover.items())[-MAXIMUM_SOURCES:]:
            own = self._transform.roc(ssrc)
            if own is None:
                self._expect_counter(ssrc, roc, 0, roc + 1)
            elif own != roc:
                self._expect_counter(ssrc, own, own + 1, roc, roc + 1)
        self.last_ssrc_word = -1

    def rollover_counters(self) -> Mapping[int, int]:
        """The rollover counter of each SSRC, last heard last, for the next key's context."""
        found = {ssrc: self._transform.roc(ssrc) for ssrc in self._known_sources}
        kept = {ssrc: candidates[0] for ssrc, candidates in self._candidates.items()}
        return kept | {ssrc: roc for ssrc, roc in found.items() if roc is not None}

    def close(self) -> None:
        """Drop the keys; later packets are counted and dropped."""
        self.handle = None
        self._transform.close()
