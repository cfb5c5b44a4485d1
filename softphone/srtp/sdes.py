"""Security descriptions (SDES): making and judging SDP crypto lines (RFC 4568, RFC 7714 14).

A bad line never fails a call here: each unusable line becomes a `CryptoRefusal` with its reason,
and the caller decides what to do when no line is usable.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import TypeAlias

from softphone.errors import ConfigurationError
from softphone.fast_dataclass import fast_init
from softphone.sans_io import Entropy
from softphone.sdp import Crypto, CryptoLine, KeyParameter, UnreadableCrypto
from softphone.security import CryptoSuite, KeyMaterial


class CryptoRefusalCode(StrEnum):
    """Why a crypto line was not used."""

    MALFORMED = "malformed"
    UNKNOWN_SUITE = "unknown_suite"
    SUITE_NOT_ALLOWED = "suite_not_allowed"
    BAD_TAG = "bad_tag"
    DUPLICATE_TAG = "duplicate_tag"
    KEY_LENGTH = "key_length"
    SEVERAL_KEYS = "several_keys"
    KEY_METHOD = "key_method"
    MKI = "mki"
    LIFETIME = "lifetime"
    SESSION_PARAMETER = "session_parameter"
    NOT_OFFERED = "not_offered"
    SEVERAL_LINES = "several_lines"
    NO_LINE = "no_line"
    KEY_ZERO = "key_zero"
    KEY_REFLECTED = "key_reflected"
    KEY_SHARED = "key_shared"
    TOO_MANY_KEYS = "too_many_keys"

    @property
    def hostile(self) -> bool:
        """Whether no far end has a reason to send such a line; clear is then never used instead.

        Other refusals are of lines with features that we do not support, or with bad syntax.
        """
        return self in _HOSTILE


_HOSTILE = frozenset(
    {
        CryptoRefusalCode.KEY_ZERO,
        CryptoRefusalCode.KEY_REFLECTED,
        CryptoRefusalCode.KEY_SHARED,
        CryptoRefusalCode.TOO_MANY_KEYS,
    }
)


@dataclass(frozen=True, slots=True)
class CryptoRefusal:
    """A crypto line that was not used, and why; never contains the key."""

    tag: int | None
    suite: str | None
    code: CryptoRefusalCode
    reason: str


@fast_init
@dataclass(frozen=True, slots=True)
class CryptoChoice:
    """The verdict on offered lines: the line to answer (None if there is none) and the refusals."""

    crypto: Crypto | None
    suite: CryptoSuite | None
    refusals: tuple[CryptoRefusal, ...] = ()


KeyCheck: TypeAlias = Callable[[Crypto], tuple[CryptoRefusalCode, str] | None]
"""Returns why a line's key may not be used in this call; called after the line itself passed."""


def _any_key(_: Crypto) -> None:
    """Accept any key: nothing is known of the call."""


_NO_LINE = CryptoRefusal(None, None, CryptoRefusalCode.NO_LINE, "there is no crypto line")

_EVERY_SUITE = tuple(CryptoSuite)

MOST_CRYPTO_LINES = 64
"""Crypto lines that are judged in one description; more are taken for a flood."""

SHORTEST_LIFETIME = 1 << 20
"""The shortest key lifetime accepted, in packets: 5.8 hours at 50 packets a second.

We never re-key in the middle of a call by ourselves, so a shorter lifetime would be exceeded.
`2^31` and `2^48`, which peers write, are the suites' own limits (RFC 3711 section 9.2).
"""


# Lines made and judged --------------------------------------------------------------------------


def make_crypto_offer(suites: Sequence[CryptoSuite], *, entropy: Entropy) -> tuple[Crypto, ...]:
    """Crypto lines for `suites` in order, tags from 1, a fresh key each.

    Raises ConfigurationError when `suites` is empty or names one twice.
    """
    if not suites or len(set(suites)) != len(suites):
        raise ConfigurationError("crypto suites to offer must be at least one, each named once")
    lines: list[Crypto] = []
    for tag, suite in enumerate(suites, start=1):
        key = KeyMaterial(entropy(suite.material_length))
        lines.append(Crypto(tag, str(suite), (KeyParameter(key),)))
    return tuple(lines)


def choose_crypto(
    offered: Sequence[CryptoLine],
    *,
    allowed: Sequence[CryptoSuite],
    check_key: KeyCheck = _any_key,
) -> CryptoChoice:
    """Judge offered lines one by one and choose the best acceptable one (RFC 4568 section 5.1.2).

    The order of `allowed` decides, so that the strongest common suite is used.  `check_key` is
    called with each line that is acceptable otherwise.
    """
    refusals: list[CryptoRefusal] = []
    usable: list[tuple[int, Crypto, CryptoSuite]] = []
    twice = _repeated(offered)
    for line in offered[:MOST_CRYPTO_LINES]:
        verdict = _judge(line, allowed, twice, check_key)
        if isinstance(verdict, CryptoRefusal):
            refusals.append(verdict)
        else:
            usable.append((allowed.index(verdict[1]), *verdict))
    if not usable:
        return CryptoChoice(None, None, tuple(refusals) or (_NO_LINE,))
    _, best, suite = min(usable, key=itemgetter(0))
    return CryptoChoice(best, suite, tuple(refusals))


def _repeated(lines: Sequence[CryptoLine]) -> set[int]:
    tags = [line.tag for line in lines if line.tag is not None]
    if len(set(tags)) == len(tags):
        return set()
    return {tag for tag, count in Counter(tags).items() if count > 1}


def _judge(
    line: CryptoLine,
    allowed: Sequence[CryptoSuite],
    repeated: set[int],
    check_key: KeyCheck,
) -> tuple[Crypto, CryptoSuite] | CryptoRefusal:
    """The parsed line and its suite if it can be used, else the refusal."""

    def refuse(code: CryptoRefusalCode, reason: str) -> CryptoRefusal:
        return CryptoRefusal(line.tag, line.suite_name, code, reason)

    if isinstance(line, UnreadableCrypto):
        return refuse(CryptoRefusalCode.MALFORMED, line.reason)
    suite = CryptoSuite.named(line.suite_name)
    if suite is None:
        return refuse(CryptoRefusalCode.UNKNOWN_SUITE, f"{line.suite_name} is not a suite of ours")
    if suite not in allowed:
        return refuse(CryptoRefusalCode.SUITE_NOT_ALLOWED, f"{suite} is not allowed here")
    if not 0 <= line.tag <= 999_999_999:
        return refuse(CryptoRefusalCode.BAD_TAG, "a tag is a number from 0 to 999999999")
    if line.tag in repeated:
        return refuse(CryptoRefusalCode.DUPLICATE_TAG, f"several lines have the tag {line.tag}")
    fault = _key_fault(line.key_params, suite)
    if fault is None and line.session_params:
        fault = _parameter_fault(line.session_params)
    if fault is None:
        fault = check_key(line)
    return (line, suite) if fault is None else refuse(*fault)


def _key_fault(
    keys: Sequence[KeyParameter], suite: CryptoSuite
) -> tuple[CryptoRefusalCode, str] | None:
    if len(keys) != 1:
        return CryptoRefusalCode.SEVERAL_KEYS, "several inline keys in one line are not supported"
    key = keys[0]
    if key.method != "inline":
        return CryptoRefusalCode.KEY_METHOD, f"the key method {key.method} is unknown"
    expected = suite.material_length
    try:
        material = key.key.reveal()
    except ValueError:
        material = b""  # It has been wiped.
    if len(material) != expected:
        return (
            CryptoRefusalCode.KEY_LENGTH,
            f"{suite} takes {expected} bytes of key and salt, the line has {len(material)}",
        )
    if not any(material[: suite.key_length]):
        return CryptoRefusalCode.KEY_ZERO, "the master key is all zeros, which everybody knows"
    if key.mki is not None and key.mki.bit_length() > 8 * key.mki_length:
        return (
            CryptoRefusalCode.MKI,
            f"the master key identifier is longer than its {key.mki_length} octets",
        )
    if key.lifetime is not None and key.lifetime < SHORTEST_LIFETIME:
        return (
            CryptoRefusalCode.LIFETIME,
            f"the key would last {key.lifetime} packets, fewer than {SHORTEST_LIFETIME}",
        )
    return None


def _parameter_fault(session_params: Sequence[str]) -> tuple[CryptoRefusalCode, str] | None:
    """Refuse every session parameter except a window size hint of at least 64 (section 6.3).

    UNENCRYPTED_SRTP, UNENCRYPTED_SRTCP and UNAUTHENTICATED_SRTP would remove the protection;
    KDR, FEC_ORDER and FEC_KEY change what is on the wire.
    """
    for parameter in session_params:
        name, _, value = parameter.partition("=")
        hint = name.upper() == "WSH" and value.isascii() and value.isdigit() and len(value) <= 6
        if not hint or int(value) < 64:
            return (
                CryptoRefusalCode.SESSION_PARAMETER,
                f"the session parameter {name} is not accepted",
            )
    return None


def make_crypto_answer(chosen: Crypto, *, entropy: Entropy) -> Crypto:
    """Our line in answer to a chosen one: its tag and suite as written, and a fresh key.

    Where the chosen line has a master key identifier, ours has the same one: who puts an identifier
    into packets looks for one in those that come.
    Raises ConfigurationError for a line that `choose_crypto` would not have chosen.
    """
    suite = CryptoSuite.named(chosen.suite_name)
    if suite is None:
        raise ConfigurationError(f"{chosen.suite_name} is not a suite of ours")
    theirs = chosen.key_params[0]
    key = KeyParameter(
        KeyMaterial(entropy(suite.material_length)),
        mki=theirs.mki,
        mki_length=theirs.mki_length,
    )
    return Crypto(chosen.tag, chosen.suite_name, (key,), tag_digits=chosen.tag_digits)


def check_crypto_answer(
    offered: Sequence[Crypto],
    answered: Sequence[CryptoLine],
    *,
    check_key: KeyCheck = _any_key,
) -> CryptoChoice:
    """Judge an answer: exactly one line, with tag and suite of one of ours, and a valid key.

    Our own key sent back is refused: both directions would use one keystream.  `check_key` is
    called with a line that is acceptable otherwise.
    """
    if not answered:
        return CryptoChoice(None, None, (_NO_LINE,))

    def refuse(code: CryptoRefusalCode, reason: str) -> CryptoChoice:
        first = answered[0]
        return CryptoChoice(None, None, (CryptoRefusal(first.tag, first.suite_name, code, reason),))

    if len(answered) > 1:
        return refuse(
            CryptoRefusalCode.SEVERAL_LINES, f"the answer has {len(answered)} crypto lines"
        )
    verdict = _judge(answered[0], _EVERY_SUITE, set(), check_key)
    if isinstance(verdict, CryptoRefusal):
        return CryptoChoice(None, None, (verdict,))
    line, suite = verdict
    ours = next((ours for ours in offered if ours.tag == line.tag), None)
    if ours is None or CryptoSuite.named(ours.suite_name) is not suite:
        return refuse(CryptoRefusalCode.NOT_OFFERED, f"{suite} with tag {line.tag} was not offered")
    if same_key(ours, line):
        return refuse(CryptoRefusalCode.KEY_REFLECTED, "the answer carries the key that we sent")
    return CryptoChoice(line, suite)


def same_identifier(one: Crypto, other: Crypto) -> bool:
    """Whether packets under two lines carry the same master key identifier, or none."""
    return one.key_params[0].mki_octets == other.key_params[0].mki_octets


def same_key(one: Crypto, other: Crypto) -> bool:
    """Whether two lines carry the same suite and key, the keys compared in constant time."""
    if CryptoSuite.named(one.suite_name) is not CryptoSuite.named(other.suite_name):
        return False
    if len(one.key_params) != 1 or len(other.key_params) != 1:
        return False
    return hmac.compare_digest(one.key_params[0].key.reveal(), other.key_params[0].key.reveal())
