"""The security demanded of a call, the security it has, and the judgment between them.

`SecurityPolicy` is frozen and says what is demanded.  `SecurityState` is what a call has; its
`level` and `scope` are computed, never set.  `SecurityPolicy.judge` is the only place where the two
are compared, and it fails closed: no media row is opened before it returns `()`.

Suite names: RFC 4568 section 6.2, RFC 6188 section 3, RFC 7714 section 14.2.  This module knows no
wire format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Self

from softphone.errors import SoftphoneError
from softphone.fast_dataclass import fast_init
from softphone.value_types import settle_types

__all__ = [
    "DEFAULT_SUITES",
    "ClientCertificates",
    "CryptoSuite",
    "IdentityAssurance",
    "KeyExchange",
    "KeyMaterial",
    "MediaSecurity",
    "OnDrop",
    "Relaxation",
    "RevocationMode",
    "Scope",
    "SecurityLevel",
    "SecurityPolicy",
    "SecurityShortfall",
    "SecurityState",
    "Shortfall",
    "ShortfallCode",
    "SignalingSecurity",
    "SrtpPolicy",
    "TlsVersion",
    "shortfall_sentence",
]


class _OrderedEnum(Enum):
    """An enumeration whose members are ordered by definition, the first one lowest."""

    def __init__(self, _: object) -> None:
        self._rank = len(type(self).__members__)

    def __lt__(self, other: object) -> bool:
        return self._rank < other._rank if isinstance(other, type(self)) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._rank <= other._rank if isinstance(other, type(self)) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._rank > other._rank if isinstance(other, type(self)) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._rank >= other._rank if isinstance(other, type(self)) else NotImplemented


class SecurityLevel(_OrderedEnum):
    """How secure a part of a call, or a whole call, is.

    `UNKNOWN` is a call of which nothing was agreed: it rings, or failed before its media was open.
    It is below every other level and meets no demand.
    """

    UNKNOWN = "unknown"
    NOT_SECURE = "not_secure"
    AUTHENTICATED = "authenticated"
    ENCRYPTED = "encrypted"


class Scope(_OrderedEnum):
    """How far the known security reaches.

    `HOP`: to the next server.  `END_TO_END`: the far end itself was verified, or its level was
    stated by a server that may vouch for it.
    """

    HOP = "hop"
    END_TO_END = "end_to_end"


class SrtpPolicy(StrEnum):
    """The demand on a call's media, the strictest first."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    OFF = "off"


class OnDrop(StrEnum):
    """What happens to a call that falls below its policy, the strictest first."""

    HANGUP = "hangup"
    HOLD = "hold"


class ClientCertificates(StrEnum):
    """Whether a TLS listener asks for its clients' certificates; a bad one is always refused."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class RevocationMode(StrEnum):
    """How strictly revocation is checked, the strictest last."""

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"


class Relaxation(StrEnum):
    """What a certificate check accepts that it refuses by default.

    In FIPS mode only `LOCAL_REVOCATION` has an effect, and it makes no certificate acceptable.
    `INVALID_REVOCATION`: a CRL or OCSP answer that is stale, forged or unknown counts as none.
    `LOCAL_REVOCATION`: a CRL or OCSP server may be at a loopback, link-local, multicast or
    unspecified address.
    """

    SHA1 = "sha1"
    RSA_1024 = "rsa-1024"
    INVALID_REVOCATION = "invalid-revocation"
    LOCAL_REVOCATION = "local-revocation"


class IdentityAssurance(StrEnum):
    """The assurance for the identity of a far end.

    `VERIFIED`: a certificate that we have checked names it.  `ASSERTED`: a server that the account
    trusts says so (RFC 3325).  `CLAIMED`: the far end says so itself.  `HIDDEN`: it asks for
    privacy (RFC 3323).  Do not grant access by a name alone: demand one of the first two.
    """

    VERIFIED = "verified"
    ASSERTED = "asserted"
    CLAIMED = "claimed"
    HIDDEN = "hidden"


class KeyExchange(StrEnum):
    """How the SRTP keys were agreed."""

    SDES = "SDES"
    DTLS_SRTP = "DTLS-SRTP"


class TlsVersion(_OrderedEnum):
    """The TLS versions that may be used, the lowest first."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class CryptoSuite(StrEnum):
    """SRTP crypto suites by their RFC names (RFC 4568 6.2, RFC 6188 3, RFC 7714 14.2).

    Lengths are in bytes: of the master key, the master salt, and the tags of RTP and RTCP.
    """

    key_length: int
    salt_length: int
    rtp_tag_length: int
    rtcp_tag_length: int
    aead: bool
    """Whether the suite is AEAD: encryption and tag in one (RFC 7714)."""
    material_length: int
    """Octets of master key and master salt together, as carried by `inline:`."""

    AEAD_AES_256_GCM = "AEAD_AES_256_GCM", 32, 12, 16, 16
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM", 16, 12, 16, 16
    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10
    # RFC 4568 section 6.2.2: only RTP has the short tag, SRTCP keeps 80 bits.
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 10
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 10
    AES_192_CM_HMAC_SHA1_80 = "AES_192_CM_HMAC_SHA1_80", 24, 14, 10, 10
    AES_192_CM_HMAC_SHA1_32 = "AES_192_CM_HMAC_SHA1_32", 24, 14, 4, 10

    def __new__(cls, name: str, *lengths: int) -> Self:
        suite = str.__new__(cls, name)
        suite._value_ = name
        suite.aead = name.startswith("AEAD_")
        suite.key_length, suite.salt_length, suite.rtp_tag_length, suite.rtcp_tag_length = lengths
        suite.material_length = suite.key_length + suite.salt_length
        return suite

    @classmethod
    @lru_cache(64)  # SDP has few names, and each key of each call looks one up.
    def named(cls, name: str) -> CryptoSuite | None:
        """The suite with this SDP name, case-insensitive; None if we do not have it.

        FreeSWITCH and others write AES_CM_256_HMAC_SHA1_80 for AES_256_CM_HMAC_SHA1_80, as the
        drafts before RFC 6188 did; so for the other suites of that RFC.
        """
        wanted = name.upper()
        return _SUITES.get(wanted) or _SUITES.get(_DRAFT_SPELLING.sub(r"AES_\1_CM_", wanted))


_SUITES = CryptoSuite.__members__
_DRAFT_SPELLING = re.compile(r"^AES_CM_(256|192)_")

DEFAULT_SUITES = (
    CryptoSuite.AEAD_AES_256_GCM,
    CryptoSuite.AEAD_AES_128_GCM,
    CryptoSuite.AES_CM_128_HMAC_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32,
)
"""The suites that are offered and accepted by default, strongest first.

Those of RFC 6188 are used where they are named: far ends that have them have one of these, too, and
each suite makes the offer longer, which over UDP has to fit a datagram.
"""


class KeyMaterial:
    """Secret bytes that do not appear in logs or tracebacks by accident.

    `repr` and `str` show only the number of bytes; comparison is by identity; pickling and copying
    are refused.  `close` wipes this copy (copies inside libraries cannot be reached).
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = bytearray(data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"<KeyMaterial {len(self._data)} bytes>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("key material is not pickled or copied")

    def reveal(self) -> bytes:
        """The bytes, for the cipher or the wire.  Raises ValueError once closed."""
        if not self._data:
            raise ValueError("the key material has been wiped")
        return bytes(self._data)

    def close(self) -> None:
        """Wipe the bytes."""
        for index in range(len(self._data)):
            self._data[index] = 0
        self._data.clear()


class ShortfallCode(StrEnum):
    """Why a call is not more secure.  Scripts depend on these words."""

    SIGNALING_CLEAR = "signaling_clear"
    SIGNALING_NOT_ENCRYPTED = "signaling_not_encrypted"
    SIGNALING_UNVERIFIED = "signaling_unverified"
    MEDIA_CLEAR = "media_clear"
    CRYPTO_UNUSABLE = "crypto_unusable"
    NO_MEDIA = "no_media"
    FAR_END_UNKNOWN = "far_end_unknown"
    FAR_END_NOT_SECURE = "far_end_not_secure"
    FAR_END_AUTHENTICATED = "far_end_authenticated"
    CLAIM_EXCEEDS_MEDIA = "claim_exceeds_media"
    SUITE_NOT_ALLOWED = "suite_not_allowed"
    TLS_TOO_OLD = "tls_too_old"
    NOT_FIPS = "not_fips"
    SRTP_REQUIRED = "srtp_required"
    RECORDING_NOT_ALLOWED = "recording_not_allowed"
    NOT_AUTHORIZED = "not_authorized"


_HINTS: Mapping[ShortfallCode, str] = {
    ShortfallCode.SIGNALING_CLEAR: "use a sips: registrar or transport=tls",
    ShortfallCode.SIGNALING_NOT_ENCRYPTED: "choose a TLS cipher that encrypts",
    ShortfallCode.SIGNALING_UNVERIFIED: "have the far end show a certificate or give a digest "
    "([challenge] of the account file), or list its address in accept_from",
    ShortfallCode.MEDIA_CLEAR: "turn SRTP on at both ends, or set srtp and minimum lower",
    ShortfallCode.CRYPTO_UNUSABLE: "have the far end send crypto lines of RFC 4568 that the "
    "account allows, or set refuse_unusable_crypto = false under [policy] to talk in clear",
    ShortfallCode.NO_MEDIA: "check that both ends have a codec in common",
    ShortfallCode.FAR_END_UNKNOWN: "only the way to the server is known to be secure: set "
    'scope = "hop", or use a server that announces the security of the far end',
    ShortfallCode.FAR_END_NOT_SECURE: "the far end's own leg is not secure: secure that device",
    ShortfallCode.FAR_END_AUTHENTICATED: "the far end's leg is authenticated and not encrypted",
    ShortfallCode.CLAIM_EXCEEDS_MEDIA: "the server's word contradicts what we see: trust neither, "
    "and have the administrator look at the server",
    ShortfallCode.SUITE_NOT_ALLOWED: "add the suite to the account, or a common one to the peer",
    ShortfallCode.TLS_TOO_OLD: "let the server speak a newer TLS, or lower the minimum",
    ShortfallCode.NOT_FIPS: "FIPS mode was demanded and is not in effect here",
    ShortfallCode.RECORDING_NOT_ALLOWED: "set record_secure = true under [policy] of the "
    "account file if encrypted calls may be recorded",
    ShortfallCode.NOT_AUTHORIZED: "have it come by the account's server, or list the sender in "
    "accept_from",
    ShortfallCode.SRTP_REQUIRED: "turn SRTP on at the far end with a suite that the account "
    "allows, or set srtp to optional",
}
"""What to do about each of them."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """One reason why a call is not more secure: a code for scripts and a sentence for people."""

    code: ShortfallCode
    explanation: str

    def __str__(self) -> str:
        return f"{self.code}: {self.explanation}"

    @property
    def hint(self) -> str:
        """What a person may do about it."""
        return _HINTS[self.code]


def shortfall_sentence(shortfalls: Iterable[Shortfall]) -> str:
    """Return why a call is not more secure, for people: without codes, each reason once."""
    return "; ".join(dict.fromkeys(shortfall.explanation for shortfall in shortfalls))


class SecurityShortfall(SoftphoneError):
    """The call has less security than was demanded; we refused or ended it.

    `shortfalls` holds every reason, with its code, and is never empty; the text is for people.
    """

    def __init__(self, shortfalls: tuple[Shortfall, ...]) -> None:
        super().__init__(shortfall_sentence(shortfalls))
        self.shortfalls = shortfalls

    @property
    def hint(self) -> str:
        """What a person may do about each shortfall."""
        return "; ".join(dict.fromkeys(shortfall.hint for shortfall in self.shortfalls))


@fast_init
@dataclass(frozen=True, slots=True)
class SignalingSecurity:
    """The security of the connection that carries the call's signaling.

    `protocol` is "TLSv1.3", "TLSv1.2", or None in clear; `cipher` the TLS cipher suite;
    `peer_identity` the verified subject; `verdict` how it was verified ("chain", "pin",
    "trust-list"; without a certificate "digest", or "address" where the account lists it; None: not
    at all); `revocation` what is known of its revocation.  `encrypted` is False for NULL
    ciphers.
    """

    protocol: str | None = None
    cipher: str | None = None
    peer_identity: str | None = None
    verdict: str | None = None
    revocation: str = "unchecked"
    encrypted: bool = True

    @property
    def level(self) -> SecurityLevel:
        """ENCRYPTED over verified TLS, AUTHENTICATED when TLS does not encrypt."""
        if self.protocol is None or self.verdict is None:
            return SecurityLevel.NOT_SECURE
        return SecurityLevel.ENCRYPTED if self.encrypted else SecurityLevel.AUTHENTICATED


@fast_init
@dataclass(frozen=True, slots=True)
class MediaSecurity:
    """The security of one media stream: its profile and, under SRTP, its suite and key exchange.

    `media` is "audio" or "video".  A stream is encrypted when there are keys for both directions,
    whatever its profile is called.  `unusable_crypto` says why the far end's crypto lines cannot be
    used; it is not empty if the stream is in clear though the far end sent some.
    """

    media: str
    profile: str
    suite: CryptoSuite | None = None
    key_exchange: KeyExchange | None = None
    unusable_crypto: tuple[str, ...] = ()

    @property
    def level(self) -> SecurityLevel:
        """ENCRYPTED under SRTP, else NOT_SECURE."""
        return SecurityLevel.NOT_SECURE if self.suite is None else SecurityLevel.ENCRYPTED


def _far_end_shortfall(far_end: SecurityLevel | None, *, by_word: bool) -> Shortfall | None:
    said = "the server says that " if by_word else ""
    if far_end is None or far_end is SecurityLevel.UNKNOWN:
        return Shortfall(
            ShortfallCode.FAR_END_UNKNOWN,
            "nobody has said how secure the call is beyond our own connection",
        )
    if far_end is SecurityLevel.NOT_SECURE:
        return Shortfall(ShortfallCode.FAR_END_NOT_SECURE, f"{said}the other side is not secure")
    if far_end is SecurityLevel.AUTHENTICATED:
        return Shortfall(
            ShortfallCode.FAR_END_AUTHENTICATED,
            f"{said}the other side is authenticated but not encrypted",
        )
    return None


@fast_init
@dataclass(frozen=True, slots=True)
class SecurityState:
    """The security that a call has.

    `media` holds every enabled stream.  `far_end` is the known level of the far end: verified by us
    in a direct call, or stated by the server that vouches for it (CUCM's Call-Info); None when
    unknown.  `fips` is whether the engine runs in FIPS mode, `by_word` whether `far_end` is a
    server's statement, `direct` whether there is no server between us and the far end.
    `by_edge`: the call passes an edge server, which decrypts it, so that nobody's word reaches
    beyond our own side.

    As a text it is one sentence for a person, as the command line shows it: how far the call is
    encrypted, who stated that, and why not further.
    """

    signaling: SignalingSecurity
    media: tuple[MediaSecurity, ...] = ()
    far_end: SecurityLevel | None = None
    fips: bool = False
    by_word: bool = False
    direct: bool = False
    by_edge: bool = False

    def __str__(self) -> str:
        reasons = shortfall_sentence(self.shortfalls)
        return f"{self._summary}: {reasons}" if reasons else self._summary

    def __repr__(self) -> str:
        # All fields are 600 characters, and an event has two states.
        return f"<{type(self).__name__}: {'lock' if self.lock else 'no lock'}, {self._summary}>"

    @property
    def _summary(self) -> str:
        media = ", ".join(str(stream.suite or "in clear") for stream in self.media) or "none"
        signaling = self.signaling.protocol or "in clear"
        return f"{self._reach} (signaling {signaling}, media {media})"

    @property
    def _reach(self) -> str:
        if self.lock and self.direct:
            return "encrypted end to end, the far end's certificate verified by us"
        if self.lock:
            return "encrypted to the server, and by its word to the far end"
        if self.level is SecurityLevel.ENCRYPTED and self.by_edge:
            return "encrypted to the edge server"
        if self.level is SecurityLevel.ENCRYPTED:
            return "encrypted to the next hop" if self.direct else "encrypted to the server"
        if self.level is SecurityLevel.UNKNOWN:
            return "not known yet"
        return str(self.level.value).replace("_", " ")

    @property
    def hop_level(self) -> SecurityLevel:
        """The lowest level of the parts of our own leg; UNKNOWN while no media is agreed."""
        if not self.media:
            return SecurityLevel.UNKNOWN
        lowest = self.signaling.level
        for stream in self.media:
            level = stream.level
            if level is not lowest and level < lowest:
                lowest = level
        return lowest

    @property
    def level(self) -> SecurityLevel:
        """The lowest level of all known parts of the call, the far end included."""
        return self.hop_level if self.far_end is None else min(self.hop_level, self.far_end)

    @property
    def scope(self) -> Scope:
        """END_TO_END when the far end's level is known, else HOP."""
        unknown = self.far_end is None or self.far_end is SecurityLevel.UNKNOWN or self.by_edge
        return Scope.HOP if unknown else Scope.END_TO_END

    @property
    def lock(self) -> bool:
        """Whether the lock may be shown: only for ENCRYPTED and END_TO_END, and never by an edge.

        The lock does not wait for a received packet.  Our media is sent under our key before one
        comes, packets that do not authenticate under the far end's key are never played, and a far
        end that is on hold or silent would have no lock, or one that comes and goes.  To see
        whether the far end's key is in use, read the stream's statistics: under SRTP
        `packets_received` counts authenticated packets only.
        """
        encrypted = self.level is SecurityLevel.ENCRYPTED and self.scope is Scope.END_TO_END
        return encrypted and not self.by_edge

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """Why the state is not more secure; empty exactly when the lock may be shown."""
        found: list[Shortfall] = []
        if self.signaling.level is SecurityLevel.NOT_SECURE:
            found.append(_unprotected(self.signaling))
        elif self.signaling.level is SecurityLevel.AUTHENTICATED:
            found.append(
                Shortfall(
                    ShortfallCode.SIGNALING_NOT_ENCRYPTED,
                    "the TLS session authenticates but does not encrypt",
                )
            )
        if not self.media:
            found.append(Shortfall(ShortfallCode.NO_MEDIA, "no media stream is agreed yet"))
        found += [
            Shortfall(ShortfallCode.MEDIA_CLEAR, f"the {stream.media} stream is in clear")
            for stream in self.media
            if stream.level is SecurityLevel.NOT_SECURE
        ]
        found += [_unusable_crypto(stream) for stream in self.media if stream.unusable_crypto]
        clear = self.hop_level is SecurityLevel.NOT_SECURE
        if self.by_word and clear and self.far_end is SecurityLevel.ENCRYPTED:
            found.append(
                Shortfall(
                    ShortfallCode.CLAIM_EXCEEDS_MEDIA,
                    "the server says that the call is encrypted, and our own leg is in clear",
                )
            )
        far_end = _far_end_shortfall(self.far_end, by_word=self.by_word)
        if self.by_edge and (far_end is None or far_end.code is ShortfallCode.FAR_END_UNKNOWN):
            far_end = _BEYOND_EDGE
        if far_end is not None:
            found.append(far_end)
        return tuple(found)

    def require(self, level: SecurityLevel, *, scope: Scope = Scope.HOP) -> None:
        """Raise SecurityShortfall unless the call has at least this level and scope."""
        missing = _below(self, level, scope)
        if missing:
            raise SecurityShortfall(missing)


_BEYOND_EDGE = Shortfall(
    ShortfallCode.FAR_END_UNKNOWN,
    "an edge server decrypts the call: beyond it, nothing is known to be encrypted",
)


def _unprotected(signaling: SignalingSecurity) -> Shortfall:
    if signaling.protocol is None:
        return Shortfall(ShortfallCode.SIGNALING_CLEAR, "the signaling is not protected by TLS")
    return Shortfall(
        ShortfallCode.SIGNALING_UNVERIFIED,
        "the far end of the TLS connection has proven nothing: it showed no certificate",
    )


def _unusable_crypto(stream: MediaSecurity) -> Shortfall:
    reasons = "; ".join(stream.unusable_crypto)
    return Shortfall(
        ShortfallCode.CRYPTO_UNUSABLE,
        f"the far end sent crypto lines for the {stream.media} stream and none can be used: "
        f"{reasons}",
    )


_FAR_END = frozenset(
    {
        ShortfallCode.FAR_END_UNKNOWN,
        ShortfallCode.FAR_END_NOT_SECURE,
        ShortfallCode.FAR_END_AUTHENTICATED,
        ShortfallCode.CLAIM_EXCEEDS_MEDIA,
    }
)


def _below(state: SecurityState, level: SecurityLevel, scope: Scope) -> tuple[Shortfall, ...]:
    """The shortfalls that keep `state` below `level` within `scope`.

    With `Scope.HOP` only our own leg counts: the state shows what lies beyond the server, but that
    was not demanded.
    """
    end_to_end = scope is Scope.END_TO_END
    # NOT_SECURE demands nothing, so UNKNOWN meets it too.
    if level is SecurityLevel.NOT_SECURE and not end_to_end:
        return ()
    reached = state.level if end_to_end else state.hop_level
    enough = reached >= level or level is SecurityLevel.NOT_SECURE
    if enough and not (end_to_end and state.scope is Scope.HOP):
        return ()
    found = [
        shortfall
        for shortfall in state.shortfalls
        if not enough and (end_to_end or shortfall.code not in _FAR_END)
    ]
    if end_to_end and state.scope is Scope.HOP:
        found += [s for s in state.shortfalls if s.code is ShortfallCode.FAR_END_UNKNOWN]
    return tuple(dict.fromkeys(found))


_SIGNALING = frozenset(
    {
        ShortfallCode.SIGNALING_CLEAR,
        ShortfallCode.SIGNALING_NOT_ENCRYPTED,
        ShortfallCode.SIGNALING_UNVERIFIED,
    }
)
_TLS_PROTOCOLS = {"TLSv1.2": TlsVersion.TLS_1_2, "TLSv1.3": TlsVersion.TLS_1_3}


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """The security that is demanded of calls.

    `srtp` is the demand on the media; `minimum` and `scope` are that on the whole call, judged
    after it.  `suites` are allowed and offered in this order.  `on_drop` is what happens to a call
    that falls below the policy.  `revocation` and `allow` apply to server certificates.
    `record_secure` is whether calls with encrypted media may be recorded.  `signaling` is the level
    demanded of the signaling connection: a call that comes from another has at least its level.
    `refuse_unusable_crypto` refuses, where SRTP is optional, a stream in clear if the far end sent
    crypto lines and none of them can be used.
    """

    minimum: SecurityLevel = SecurityLevel.ENCRYPTED
    scope: Scope = Scope.HOP
    srtp: SrtpPolicy = SrtpPolicy.REQUIRED
    suites: tuple[CryptoSuite, ...] = DEFAULT_SUITES
    tls_minimum: TlsVersion = TlsVersion.TLS_1_2
    revocation: RevocationMode = RevocationMode.SOFT
    allow: frozenset[Relaxation] = frozenset()
    fips: bool = False
    on_drop: OnDrop = OnDrop.HANGUP
    record_secure: bool = True
    signaling: SecurityLevel = SecurityLevel.NOT_SECURE
    refuse_unusable_crypto: bool = False

    def __post_init__(self) -> None:
        settle_types(self, "policy")

    @classmethod
    def strict(cls) -> Self:
        """SRTP required, and every call encrypted at least to the server."""
        return cls()

    @classmethod
    def compatible(cls) -> Self:
        """SRTP offered; a clear call is possible, and is shown as clear."""
        return cls(minimum=SecurityLevel.NOT_SECURE, srtp=SrtpPolicy.OPTIONAL)

    @classmethod
    def clear(cls) -> Self:
        """No SRTP: for UDP and TCP peers on trusted networks, and for measurements."""
        return cls(minimum=SecurityLevel.NOT_SECURE, srtp=SrtpPolicy.OFF)

    @classmethod
    def fips140(cls) -> Self:
        """The strict policy for FIPS mode."""
        return cls(fips=True)

    def with_srtp(self, srtp: SrtpPolicy) -> Self:
        """The same policy with another demand on the media; a weaker one lowers `minimum` too.

        Raises ConfigurationError for what is no SrtpPolicy.
        """
        minimum = self.minimum if srtp == SrtpPolicy.REQUIRED else SecurityLevel.NOT_SECURE
        return replace(self, srtp=srtp, minimum=minimum)

    def at_edge(self) -> Self:
        """The same policy with the floor of a call through an edge server, which nothing lowers.

        SRTP is required, and signaling and call are encrypted to the edge.
        """
        least = SecurityLevel.ENCRYPTED
        return replace(
            self,
            srtp=SrtpPolicy.REQUIRED,
            minimum=max(self.minimum, least),
            signaling=max(self.signaling, least),
        )

    def stricter(self, other: SecurityPolicy) -> SecurityPolicy:
        """The policy that demands all that either does, for a call that comes from another call.

        Raises SecurityShortfall when no crypto suite is allowed by both, unless SRTP is off.
        """
        srtp = min(self.srtp, other.srtp, key=list(SrtpPolicy).index)
        suites = tuple(suite for suite in self.suites if suite in other.suites)
        if not suites and srtp is not SrtpPolicy.OFF:
            why = "no crypto suite is allowed by both of the policies that hold for this call"
            raise SecurityShortfall((Shortfall(ShortfallCode.SUITE_NOT_ALLOWED, why),))
        return SecurityPolicy(
            minimum=max(self.minimum, other.minimum),
            scope=max(self.scope, other.scope),
            srtp=srtp,
            suites=suites or self.suites,
            tls_minimum=max(self.tls_minimum, other.tls_minimum),
            revocation=max(self.revocation, other.revocation, key=list(RevocationMode).index),
            allow=self.allow & other.allow,
            fips=self.fips or other.fips,
            on_drop=min(self.on_drop, other.on_drop, key=list(OnDrop).index),
            record_secure=self.record_secure and other.record_secure,
            signaling=max(self.signaling, other.signaling),
            refuse_unusable_crypto=self.refuse_unusable_crypto or other.refuse_unusable_crypto,
        )

    def judge_recording(self, state: SecurityState) -> tuple[Shortfall, ...]:
        """Why a call may not be recorded; () means it may.  Pure."""
        if self.record_secure or all(stream.suite is None for stream in state.media):
            return ()
        why = "the call is encrypted, and its policy does not let such calls be recorded"
        return (Shortfall(ShortfallCode.RECORDING_NOT_ALLOWED, why),)

    def judge(self, state: SecurityState) -> tuple[Shortfall, ...]:
        """Every way in which `state` is below this policy; () means it is met.  Pure."""
        found = list(self._judge_media(state))
        if state.signaling.level < self.signaling:
            found += [s for s in state.shortfalls if s.code in _SIGNALING]
        found += _below(state, self.minimum, self.scope)
        protocol = state.signaling.protocol
        if protocol is not None:
            version = _TLS_PROTOCOLS.get(protocol)
            if version is None or version < self.tls_minimum:
                found.append(
                    Shortfall(
                        ShortfallCode.TLS_TOO_OLD,
                        f"the signaling runs over {protocol}; "
                        f"at least TLS {self.tls_minimum.value} is demanded",
                    )
                )
        if self.fips and not state.fips:
            found.append(Shortfall(ShortfallCode.NOT_FIPS, "the engine is not in FIPS mode"))
        return tuple(dict.fromkeys(found))

    def _judge_media(self, state: SecurityState) -> tuple[Shortfall, ...]:
        found: list[Shortfall] = []
        for stream in state.media:
            if stream.suite is None:
                if self.srtp is SrtpPolicy.REQUIRED:
                    found.append(
                        Shortfall(
                            ShortfallCode.SRTP_REQUIRED,
                            f"SRTP is required and the {stream.media} stream is {stream.profile}",
                        )
                    )
                elif self.refuse_unusable_crypto and stream.unusable_crypto:
                    found.append(_unusable_crypto(stream))
            elif stream.suite not in self.suites:
                found.append(
                    Shortfall(
                        ShortfallCode.SUITE_NOT_ALLOWED,
                        f"the {stream.media} stream uses {stream.suite}, which is not allowed",
                    )
                )
        return tuple(found)
