"""The SRTP backend on `cryptography`, for FIPS mode and as the reference in tests of libsrtp's.

Implements AES-CM with HMAC-SHA1 (RFC 3711, RFC 6188), AES-GCM (RFC 7714), key derivation (RFC 3711
section 4.3), index estimation (section 3.3.1, appendix A) and replay windows (section 3.3.2), from
the RFCs.  The key derivation rate is 0, and SRTCP is always encrypted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import constant_time, hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from softphone.security import CryptoSuite
from softphone.srtp.backend import REPLAY_WINDOW, SRTCP_REPLAY_WINDOW, SrtpStatus

# RFC 3711 section 4.3.2: the labels of the six session keys.
_RTP_LABELS = (0, 1, 2)
_RTCP_LABELS = (3, 4, 5)

_RTP_HEADER = 12
_NUMBERS = struct.Struct("!H4xI")
"""Sequence number and SSRC, from the third octet of an RTP packet."""
_RTCP_HEADER = 8
_ENCRYPTED = 1 << 31
_MAXIMUM_RTP_INDEX = (1 << 48) - 1
_MAXIMUM_RTCP_INDEX = (1 << 31) - 1


def keystream(key: bytes, iv: int, length: int) -> bytes:
    """AES counter mode keystream (RFC 3711 section 4.1.1); `iv` is the first 128-bit block."""
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big")))
    return cipher.encryptor().update(bytes(length))


def derive_session_key(master_key: bytes, master_salt: bytes, label: int, length: int) -> bytes:
    """Derive a session key (RFC 3711 section 4.3.1, rate 0; 96-bit salts as in RFC 7714 11)."""
    salt = int.from_bytes(master_salt.ljust(14, b"\0"), "big")
    return keystream(master_key, (salt ^ label << 48) << 16, length)


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """The session keys of SRTP or of SRTCP; `authentication` is empty for AEAD suites."""

    encryption: bytes
    authentication: bytes
    salt: bytes

    @classmethod
    def derive(cls, suite: CryptoSuite, master: bytes, labels: tuple[int, int, int]) -> SessionKeys:
        """Derive the session keys from a master key followed by its salt."""
        key, salt = master[: suite.key_length], master[suite.key_length :]
        return cls(
            encryption=derive_session_key(key, salt, labels[0], suite.key_length),
            authentication=b"" if suite.aead else derive_session_key(key, salt, labels[1], 20),
            salt=derive_session_key(key, salt, labels[2], suite.salt_length),
        )


@dataclass(slots=True)
class _ReplayWindow:
    """A replay window (RFC 3711 section 3.3.2): bit n of `seen` is index `highest` - n."""

    size: int
    highest: int = -1
    seen: int = 0
    mask: int = field(init=False)

    def __post_init__(self) -> None:
        self.mask = (1 << self.size) - 1

    def check_index(self, index: int) -> SrtpStatus:
        """The verdict on `index`: OK, a replay, or too old."""
        behind = self.highest - index
        if behind < 0:
            return SrtpStatus.OK
        if behind >= self.size:
            return SrtpStatus.TOO_OLD
        return SrtpStatus.REPLAYED if self.seen >> behind & 1 else SrtpStatus.OK

    def add_index(self, index: int) -> None:
        """Mark an authenticated index as received."""
        ahead = index - self.highest
        if ahead > 0:
            # A jump beyond the window empties it; the cost of shifting by it has no bound.
            self.seen = self.seen << ahead if ahead < self.size else 0
            self.seen = (self.seen | 1) & self.mask
            self.highest = index
        else:
            self.seen |= 1 << -ahead


@dataclass(slots=True)
class _SsrcState:
    """The state of one SSRC: replay windows, SRTCP index, and the next rollover counter if set."""

    rtp: _ReplayWindow = field(default_factory=lambda: _ReplayWindow(REPLAY_WINDOW))
    rtcp: _ReplayWindow = field(default_factory=lambda: _ReplayWindow(SRTCP_REPLAY_WINDOW))
    sent_rtcp: int = 0
    next_roc: int | None = None

    def estimate(self, sequence: int) -> int:
        """The 48-bit index of a packet (RFC 3711 section 3.3.1 and appendix A)."""
        if self.next_roc is not None:
            return self.next_roc << 16 | sequence
        if self.rtp.highest < 0:
            return sequence
        roc, last = self.rtp.highest >> 16, self.rtp.highest & 0xFFFF
        if last < 0x8000 and sequence - last > 0x8000 and roc > 0:
            roc -= 1
        elif last >= 0x8000 and last - 0x8000 > sequence:
            roc += 1
        return roc << 16 | sequence


def _header_length(packet: bytes) -> int | None:
    """Octets of the RTP header with CSRCs and extension (RFC 3550 5.1); None if truncated."""
    if len(packet) < _RTP_HEADER:
        return None
    length = _RTP_HEADER + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < length + 4:
            return None
        length += 4 + 4 * int.from_bytes(packet[length + 2 : length + 4], "big")
    return length if length <= len(packet) else None


class _GcmCipher:
    """AES-GCM under one set of session keys (RFC 7714 sections 8.1 and 9.1).

    The cipher object is made once: its key schedule is most of a packet's cost.
    """

    __slots__ = ("_cipher", "_salt")

    def __init__(self, keys: SessionKeys) -> None:
        self._cipher = AESGCM(keys.encryption)
        self._salt = int.from_bytes(keys.salt, "big")

    def _nonce(self, ssrc: int, index: int) -> bytes:
        """Zeros, SSRC and index, XOR the salt."""
        return (self._salt ^ ssrc << 48 ^ index).to_bytes(12, "big")

    def encrypt(self, ssrc: int, index: int, data: bytes, head: bytes) -> bytes:
        """The ciphertext followed by the tag, with `head` as associated data."""
        return self._cipher.encrypt(self._nonce(ssrc, index), data, head)

    def decrypt(self, ssrc: int, index: int, sealed: bytes, head: bytes) -> bytes | None:
        """The plaintext; None when it does not authenticate."""
        try:
            return self._cipher.decrypt(self._nonce(ssrc, index), sealed, head)
        except InvalidTag:
            return None


class _CounterModeCipher:
    """AES-CM with HMAC-SHA1 under one set of session keys (RFC 3711 sections 4.1.1 and 4.2).

    Both objects are made once and reused for every packet: the cipher with a new IV, the HMAC as a
    copy of its keyed state.  RFC 3711 section 4.2.1 prescribes HMAC-SHA1, and FIPS 140-3 allows it
    for this.
    """

    __slots__ = ("_code", "_encryptor", "_salt")

    def __init__(self, keys: SessionKeys) -> None:
        cipher = Cipher(algorithms.AES(keys.encryption), modes.CTR(bytes(16)))
        self._encryptor = cipher.encryptor()
        self._code = hmac.HMAC(keys.authentication, hashes.SHA1())
        self._salt = int.from_bytes(keys.salt, "big") << 16

    def crypt(self, ssrc: int, index: int, data: bytes) -> bytes:
        """Encrypt or decrypt; counter mode uses the same keystream for both."""
        iv = self._salt ^ ssrc << 64 ^ index << 16
        self._encryptor.reset_nonce(iv.to_bytes(16, "big"))
        return self._encryptor.update(data)

    def tag(self, data: bytes, size: int) -> bytes:
        """The first `size` octets of the HMAC over `data`."""
        code = self._code.copy()
        code.update(data)
        return code.finalize()[:size]


_Cipher: TypeAlias = _GcmCipher | _CounterModeCipher


def _make_cipher(suite: CryptoSuite, keys: SessionKeys) -> _Cipher:
    return _GcmCipher(keys) if suite.aead else _CounterModeCipher(keys)


class CryptographyTransform:
    """One direction under one master key (see `softphone.srtp.backend.SrtpTransform`)."""

    def __init__(self, suite: CryptoSuite, key: bytes) -> None:
        self._suite = suite
        rtp = SessionKeys.derive(self._suite, key, _RTP_LABELS)
        rtcp = SessionKeys.derive(self._suite, key, _RTCP_LABELS)
        self._ciphers: tuple[_Cipher, _Cipher] | None = self._prepare(rtp, rtcp)
        self._sources: dict[int, _SsrcState] = {}

    @classmethod
    def from_session_keys(
        cls, suite: CryptoSuite, rtp: SessionKeys, rtcp: SessionKeys
    ) -> CryptographyTransform:
        """Make a transform from given session keys, as in the test vectors of RFC 7714."""
        made = cls(suite, bytes(suite.material_length))
        made._ciphers = made._prepare(rtp, rtcp)
        return made

    def _prepare(self, rtp: SessionKeys, rtcp: SessionKeys) -> tuple[_Cipher, _Cipher]:
        return _make_cipher(self._suite, rtp), _make_cipher(self._suite, rtcp)

    # RTP ----------------------------------------------------------------------------------------

    def protect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTP to SRTP."""
        if self._ciphers is None:
            return SrtpStatus.CLOSED, b""
        header = _header_length(packet)
        if header is None:
            return SrtpStatus.MALFORMED, b""
        sequence, ssrc = _NUMBERS.unpack_from(packet, 2)
        source = self._known(ssrc)
        index = source.estimate(sequence)
        status = self._admit(source.rtp, index, _MAXIMUM_RTP_INDEX)
        if status:
            return status, b""
        source.rtp.add_index(index)
        source.next_roc = None
        return SrtpStatus.OK, self._seal_rtp(self._ciphers[0], packet, header, (ssrc, index))

    def _known(self, ssrc: int) -> _SsrcState:
        source = self._sources.get(ssrc)
        if source is None:
            source = self._sources[ssrc] = _SsrcState()
        return source

    def _admit(self, window: _ReplayWindow, index: int, most: int) -> SrtpStatus:
        return SrtpStatus.KEY_EXPIRED if index > most else window.check_index(index)

    def _seal_rtp(
        self, ciphers: _Cipher, packet: bytes, header: int, place: tuple[int, int]
    ) -> bytes:
        ssrc, index = place
        head, payload = packet[:header], packet[header:]
        if isinstance(ciphers, _GcmCipher):
            return head + ciphers.encrypt(ssrc, index, payload, head)
        sealed = head + ciphers.crypt(ssrc, index, payload)
        roc = (index >> 16).to_bytes(4, "big")
        return sealed + ciphers.tag(sealed + roc, self._suite.rtp_tag_length)

    def unprotect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTP to RTP."""
        if self._ciphers is None:
            return SrtpStatus.CLOSED, b""
        header = _header_length(packet)
        if header is None:
            return SrtpStatus.MALFORMED, b""
        sequence, ssrc = _NUMBERS.unpack_from(packet, 2)
        source = self._sources.get(ssrc) or _SsrcState()
        index = source.estimate(sequence)
        status = self._admit(source.rtp, index, _MAXIMUM_RTP_INDEX)
        if status:
            return status, b""
        # The order is libsrtp's, so that both backends count the same causes.
        if len(packet) < header + self._suite.rtp_tag_length:
            return SrtpStatus.MALFORMED, b""
        opened = self._open_rtp(self._ciphers[0], packet, header, (ssrc, index))
        if opened is None:
            return SrtpStatus.AUTHENTICATION_FAILED, b""
        source.rtp.add_index(index)
        source.next_roc = None
        self._sources[ssrc] = source
        return SrtpStatus.OK, opened

    def _open_rtp(
        self, ciphers: _Cipher, packet: bytes, header: int, place: tuple[int, int]
    ) -> bytes | None:
        ssrc, index = place
        head = packet[:header]
        if isinstance(ciphers, _GcmCipher):
            opened = ciphers.decrypt(ssrc, index, packet[header:], head)
            return None if opened is None else head + opened
        size = self._suite.rtp_tag_length
        sealed, tag = packet[:-size], packet[-size:]
        roc = (index >> 16).to_bytes(4, "big")
        if not constant_time.bytes_eq(ciphers.tag(sealed + roc, size), tag):
            return None
        return head + ciphers.crypt(ssrc, index, sealed[header:])

    # RTCP ---------------------------------------------------------------------------------------

    def protect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTCP to SRTCP; the first index is 1, as in libsrtp."""
        if self._ciphers is None:
            return SrtpStatus.CLOSED, b""
        if len(packet) < _RTCP_HEADER:
            return SrtpStatus.MALFORMED, b""
        ssrc = int.from_bytes(packet[4:8], "big")
        source = self._known(ssrc)
        if source.sent_rtcp >= _MAXIMUM_RTCP_INDEX:
            return SrtpStatus.KEY_EXPIRED, b""
        source.sent_rtcp += 1
        return SrtpStatus.OK, self.seal_rtcp(packet, source.sent_rtcp)

    def seal_rtcp(self, packet: bytes, index: int) -> bytes:
        """SRTCP of a packet at a given index (RFC 3711 section 3.4, RFC 7714 section 9)."""
        if self._ciphers is None:
            raise ValueError("the transform is closed")
        ciphers, ssrc = self._ciphers[1], int.from_bytes(packet[4:8], "big")
        head, body = packet[:_RTCP_HEADER], packet[_RTCP_HEADER:]
        trailer = (_ENCRYPTED | index).to_bytes(4, "big")
        if isinstance(ciphers, _GcmCipher):
            return head + ciphers.encrypt(ssrc, index, body, head + trailer) + trailer
        sealed = head + ciphers.crypt(ssrc, index, body) + trailer
        return sealed + ciphers.tag(sealed, self._suite.rtcp_tag_length)

    def unprotect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTCP to RTCP."""
        if self._ciphers is None:
            return SrtpStatus.CLOSED, b""
        tag = self._suite.rtcp_tag_length
        if len(packet) < _RTCP_HEADER + 4 + tag:
            return SrtpStatus.MALFORMED, b""
        ssrc = int.from_bytes(packet[4:8], "big")
        at = len(packet) - 4 - (0 if self._suite.aead else tag)
        trailer = int.from_bytes(packet[at : at + 4], "big")
        # We never agree to UNENCRYPTED_SRTCP, so a packet marked as clear is not of this stream.
        clear = not trailer & _ENCRYPTED
        if clear and not self._suite.aead:
            return SrtpStatus.AUTHENTICATION_FAILED, b""
        index = trailer & ~_ENCRYPTED
        source = self._sources.get(ssrc) or _SsrcState()
        status = source.rtcp.check_index(index)
        if status:
            return status, b""
        opened = None if clear else self._open_rtcp(self._ciphers[1], packet, at, index)
        if opened is None:
            return SrtpStatus.AUTHENTICATION_FAILED, b""
        source.rtcp.add_index(index)
        self._sources[ssrc] = source
        return SrtpStatus.OK, opened

    def _open_rtcp(self, ciphers: _Cipher, packet: bytes, at: int, index: int) -> bytes | None:
        ssrc = int.from_bytes(packet[4:8], "big")
        head, body = packet[:_RTCP_HEADER], packet[_RTCP_HEADER:at]
        if isinstance(ciphers, _GcmCipher):
            opened = ciphers.decrypt(ssrc, index, body, head + packet[at:])
            return None if opened is None else head + opened
        size = self._suite.rtcp_tag_length
        if not constant_time.bytes_eq(ciphers.tag(packet[:-size], size), packet[-size:]):
            return None
        return head + ciphers.crypt(ssrc, index, body)

    # Rollover counters --------------------------------------------------------------------------

    def roc(self, ssrc: int) -> int | None:
        """The rollover counter of a source that was heard; None for any other."""
        source = self._sources.get(ssrc)
        if source is None or source.rtp.highest < 0:
            return None
        return source.rtp.highest >> 16

    def set_roc(self, ssrc: int, roc: int) -> bool:
        """Set the rollover counter of the next packet of `ssrc`."""
        if self._ciphers is None:
            return False
        self._known(ssrc).next_roc = roc
        return True

    def close(self) -> None:
        """Drop the keys."""
        self._ciphers = None
        self._sources.clear()
